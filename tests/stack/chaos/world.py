"""The stack of one experiment, with a model server, somebody who asks, and chance; and what is left of it in the tables."""

import asyncio
import contextlib
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import aiohttp
import msgspec

from nexus.adapters.dynamodb.tables import DynamoTables, open_dynamodb_client
from nexus.composition.tables import TABLES as DECLARED
from nexus.domain.core.instants import parse_instant, system_clock
from nexus.domain.ports.database import Tables, Window
from tests.chaos.evidence import COLLECT_SECONDS, TABLES, Evidence
from tests.chaos.experiments import Figures, percentile
from tests.chaos.harness import TERMINAL, Api, ModelServer, children, must
from tests.chaos.invariants import hold
from tests.chaos.line import Line
from tests.chaos.model import Script
from tests.redis_server import find_free_port
from tests.stack.processes import APIS, WORKERS, Stack

JSON = dict[str, Any]
RECOVERY_SECONDS = 45.0
CREDENTIALS = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing"}
NEXUS = (*APIS, *WORKERS)
_DECLARED = {table.name: table for table in DECLARED}


class Kill(NamedTuple):
    """When a process ended, and the builds that it ran, by their topics."""

    at: float
    topics: Sequence[str]


class World:
    def __init__(
        self, stack: Stack, model: ModelServer, http: aiohttp.ClientSession, tables: Tables, line: Line
    ) -> None:
        self.stack, self.model, self.tables, self.line = stack, model, tables, line
        self.api = Api(stack.url, http)
        self.kills = list[Kill]()
        self._before = children()

    async def kill_processes(self, *names: str) -> None:
        """With -9; remembers what they ran."""
        pids = {self.stack.started[name].process.pid for name in names}
        topics = [topic for topic, pid in (await self.list_running_builds()).items() if pid in pids]
        for name in names:
            await asyncio.to_thread(self.stack.kill, name)
        self.kills.append(Kill(time.time(), topics))

    async def start_processes(self, *names: str) -> None:
        for name in names:
            self.stack.start_nexus(name)
        for name in set(names) & set(APIS):
            await asyncio.to_thread(self.stack.wait_ready, name)

    async def restart_process(self, name: str) -> None:
        """By SIGTERM: a new release of it."""
        await asyncio.to_thread(self.stack.kill, name, signal.SIGTERM)
        must(self.stack.started[name].process.returncode == 0, f"{name} did not end in order.")
        await self.start_processes(name)

    async def list_running_builds(self) -> dict[str, int]:
        """The process of each build that is being run, by its topic."""
        return {
            f"build:{task['project_id']}/{task['build_no']}": int(task["worker_id"].split("-")[-2])
            for task in await self.read_rows("tasks")
            if task["status"] == "running" and task["task_type"] != "purge"
        }

    async def wait_running_builds(self, count: int, *, of: Collection[int] = ()) -> list[str]:
        """The topics of at least so many builds that are being run, in these processes where some are named."""
        until = time.monotonic() + RECOVERY_SECONDS
        while True:
            topics = [topic for topic, pid in (await self.list_running_builds()).items() if not of or pid in of]
            if len(topics) >= count:
                return topics
            must(time.monotonic() < until, f"{len(topics)} builds are being run, not {count}.")
            await asyncio.sleep(0.1)

    async def read_rows(self, name: str) -> list[JSON]:
        rows, window = list[JSON](), Window(limit=100)
        while True:
            page = await self.tables.walk(_DECLARED[name], window)
            rows += [msgspec.to_builtins(row) for row in page.items]
            if page.cursor is None:
                return rows
            window = msgspec.structs.replace(window, cursor=page.cursor)

    async def begin_builds(self, count: int, *, first: int = 0) -> list[JSON]:
        return [await self.api.begin(number) for number in range(first, first + count)]

    async def end_builds(self, acknowledged: Sequence[JSON], *, within: float) -> None:
        """Returns once all are completed."""
        until = time.monotonic() + within
        ended = [
            await self.api.until(one["project_id"], *TERMINAL, within=max(until - time.monotonic(), 1))
            for one in acknowledged
        ]
        bad = [(one["project_id"], one.get("error_info")) for one in ended if one["status"] != "completed"]
        must(not bad, f"{len(bad)} of {len(ended)} builds did not complete: {bad[:3]}")

    async def examine(self, acknowledged: Sequence[JSON], *, accounts: bool = True) -> "StackEvidence":
        """Ends all processes of nexus in order; what is left then must hold all invariants."""
        await self._wait_collected()
        for name in NEXUS:
            if self.stack.is_alive(name):
                await asyncio.to_thread(self.stack.kill, name, signal.SIGTERM)
        rows = {name: await self.read_rows(name) for name in TABLES}
        evidence = StackEvidence(self.stack.directory / "files", self.model.lines(), rows)
        running = {one.process.pid for one in self.stack.started.values()}
        known = self._before | running | {self.model.pid}
        evidence.inspected = sum(hold(evidence, acknowledged=acknowledged, known=known, accounts=accounts).values())
        return evidence

    async def _wait_collected(self) -> None:
        """Until the living have removed what the killed were writing."""
        files, until = self.stack.directory / "files/projects", time.monotonic() + COLLECT_SECONDS
        while left := list(files.rglob(".nexus-write-*")):
            must(time.monotonic() < until, f"Not removed after {COLLECT_SECONDS:g} s: {left[:3]}")
            await asyncio.sleep(0.2)


class StackEvidence(Evidence):
    """What the tables and the shared files hold; the log of replies, which is Redis', is heard by readers."""

    def __init__(self, data: Path, ledger: list[JSON], rows: dict[str, list[JSON]]) -> None:
        self.data, self.ledger, self.rows, self.log_topics = data, ledger, rows, {}
        self.inspected = 0
        self.group_events()

    def measure_recoveries(self, kills: Sequence[Kill], *, within: float = RECOVERY_SECONDS) -> Figures:
        """Seconds from each kill to the next event of each build that it met."""
        seconds = list[float]()
        for kill in kills:
            for topic in kill.topics:
                after = [parse_instant(event["created_at"]) for event in self.topics[topic]]
                after = [at for at in after if at >= kill.at]
                must(after, f"{topic} was being run, and nothing was ever heard of it again.")
                seconds.append(after[0] - kill.at)
        must(seconds, "No kill met a build.")
        slowest = percentile(seconds, 0.95)
        must(slowest <= within, f"Builds went on after {slowest:.1f} s (p95).")
        p50 = percentile(seconds, 0.5)
        return {
            "kills": len(kills),
            "builds met": len(seconds),
            "went on p50": f"{p50:.1f} s",
            "p95": f"{slowest:.1f} s",
        }


@asynccontextmanager
async def open_world(script: Script, **environ: str) -> AsyncIterator[World]:
    """A stack that is ready, gone at the end. Its processes reach the tables through a line."""
    async with AsyncExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix="nexus-chaos-stack-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        model = ModelServer(directory, script)
        await model.start()
        stack.push_async_callback(model.kill)
        port = find_free_port()
        settings = {
            "NEXUS_TABLES__ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "NEXUS_MODEL__BASE_URL": model.url, "NEXUS_MODEL__NAME": "marked", "NEXUS_MODEL__PROVIDER": "openai",
            "NEXUS_LOG__LEVEL": "warning",
        }  # fmt: skip
        processes = stack.enter_context(Stack(directory / "stack", environ=settings | environ))
        line = Line(int(processes.url_of("tables").rpartition(":")[2]))
        await stack.enter_async_context(await asyncio.start_server(line.serve, "127.0.0.1", port))
        await asyncio.to_thread(processes.start)
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=30, connect=5)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
        client = await stack.enter_async_context(
            open_dynamodb_client(region="us-west-2", endpoint_url=processes.url_of("tables"), **CREDENTIALS)
        )
        tables = Tables(DynamoTables(client), secret=b"evidence", clock=system_clock)
        world = World(processes, model, http, tables, line)
        try:
            yield world
        except Exception as wrong:
            wrong.add_note(_quote_logs(processes))
            raise


def _quote_logs(stack: Stack) -> str:
    """The ends of what the processes said."""
    said = list[str]()
    for name in NEXUS:
        with contextlib.suppress(OSError):
            said.append(f"{name} said: {(stack.directory / f'{name}.log').read_text(errors='replace')[-1500:]}")
    return "\n".join(said)


def make_random(seed: int, name: str) -> Random:
    return Random(f"{seed}/{name}")
