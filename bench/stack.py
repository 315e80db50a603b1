"""What several processes cost beside one: the same build and the same chats on a laptop and on the stack, in one run.

`python -m bench.stack`: prints each figure, its ratio to the laptop, and the calls to the tables for a message and for a build."""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median

from msgspec import Struct

from bench.load import cpu_seconds
from nexus.client.client import Client
from nexus.composition.adapters import make_signals, open_event_log
from nexus.composition.backends import Backends
from nexus.domain.core.instants import parse_instant
from nexus.domain.ports.log import EventLog
from nexus.settings import parse_environment
from tests.chaos.line import Line
from tests.redis_server import find_free_port
from tests.stack.processes import Stack

REQUIREMENT, QUESTION = "An agent that converts kilometres to miles", "How many miles are 42 km?"
EVENTS, EVENTS_OF_A_BATCH = 20_000, 50


class Cost(Struct, frozen=True, kw_only=True):
    """Milliseconds of one unit; `calls` to the tables, where they are counted."""

    claim: float
    first_token: float
    cpu: float
    calls_of_chat: float = 0
    calls_of_build: float = 0


class Target(Struct, frozen=True, kw_only=True):
    """Where requests go, the process whose CPU is measured, and how many calls the tables have had."""

    url: str
    pid: int
    count_calls: Callable[[], int] = lambda: 0


async def measure_target(target: Target, builds: int, chats: int) -> Cost:
    async with Client(target.url) as client:
        claims, before = list[float](), target.count_calls()
        for _ in range(builds):
            started = await client.create_project(REQUIREMENT)
            events = [event async for event in client.stream_build_events(started.project_id)]
            at = {event.tag: parse_instant(event.data["at"]) for event in reversed(events)}
            claims.append(at["build.started"] - at["build.queued"])
        calls_of_build = (target.count_calls() - before) / builds
        [agent_id] = (await client.project(started.project_id)).agent_ids
        sessions = [(await client.open_session(agent_id)).session_id for _ in range(chats)]
        firsts, cpu, before = list[float](), cpu_seconds(target.pid), target.count_calls()
        for session_id in sessions:
            firsts.append(await _time_first_token(client, session_id))
        return Cost(
            claim=1000 * median(claims),
            first_token=1000 * median(firsts),
            cpu=1000 * (cpu_seconds(target.pid) - cpu) / chats,
            calls_of_chat=(target.count_calls() - before) / chats,
            calls_of_build=calls_of_build,
        )


async def _time_first_token(client: Client, session_id: str) -> float:
    """Seconds; the reply is heard to its end."""
    began, first = time.perf_counter(), 0.0
    async for event in client.send_and_stream_reply(session_id, QUESTION):
        if event.tag == "reply.delta" and not first:
            first = time.perf_counter() - began
    return first


@asynccontextmanager
async def open_laptop(directory: Path) -> AsyncIterator[Target]:
    port = find_free_port()
    command = [sys.executable, "-m", "nexus", "serve", "--port", str(port), "--data-dir", str(directory / "data")]
    environ = {name: text for name, text in os.environ.items() if not name.startswith("NEXUS_")}
    quiet = asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, env=environ, stdout=quiet, stderr=quiet)
    try:
        async with Client(f"http://127.0.0.1:{port}") as client:
            await _wait_ready(client)
        yield Target(url=f"http://127.0.0.1:{port}", pid=process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()


async def _wait_ready(client: Client) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if await client.ready():
                    return
            except Exception:  # nobody listens yet
                await asyncio.sleep(0.05)


@asynccontextmanager
async def open_stack(directory: Path, queue: str) -> AsyncIterator[Target]:
    """One api and one worker process of it serve; requests go to the api process itself."""
    port = find_free_port()
    environ = {"NEXUS_QUEUE__BACKEND": queue, "NEXUS_TABLES__ENDPOINT_URL": f"http://127.0.0.1:{port}"}
    with Stack(directory, environ=environ) as stack:
        line = Line(int(stack.url_of("tables").rpartition(":")[2]))
        async with await asyncio.start_server(line.serve, "127.0.0.1", port):
            await asyncio.to_thread(stack.start)
            for name in ("api-2", "worker-2"):
                await asyncio.to_thread(stack.kill, name, signal.SIGTERM)
            pid = stack.started["api-1"].process.pid
            yield Target(url=stack.url_of("api-1"), pid=pid, count_calls=lambda: line.requests)


async def measure_events(settings: Mapping[str, str]) -> float:
    """Events a second from an append to a follower."""
    async with AsyncExitStack() as stack:
        backends = Backends(parse_environment(settings), stack)
        log = await open_event_log(backends, await make_signals(backends))
        began = time.perf_counter()
        following = asyncio.ensure_future(_follow_events(log))
        batch, position = [b'{"type":"reply.delta","text":"word"}'] * EVENTS_OF_A_BATCH, 0
        while position < EVENTS:
            position = await log.append_events("bench", batch, after=position)
        await following
        return EVENTS / (time.perf_counter() - began)


async def _follow_events(log: EventLog) -> None:
    heard = 0
    async for found in log.follow_topic("bench"):
        heard += len(found.events)
        if heard == EVENTS:
            return


async def measure_log(directory: Path) -> Mapping[str, float]:
    sqlite = {"NEXUS_DATA_DIR": str(directory / "log")}
    (directory / "log").mkdir()
    stack = Stack(directory / "redis")
    stack.directory.mkdir()
    with stack:
        stack.start_redis()
        redis = {**sqlite, "NEXUS_EVENTS__BACKEND": "redis", "NEXUS_REDIS__URL": stack.redis_url}
        return {"sqlite": await measure_events(sqlite), "redis": await measure_events(redis)}


def describe(costs: Mapping[str, Cost], log: Mapping[str, float]) -> Sequence[str]:
    """Lines of a Markdown table: each figure with its ratio to the laptop."""
    laptop = costs["laptop"]
    lines = [
        "| | enqueue to claim | first token | CPU of the api a chat | calls a chat | calls a build |",
        "|---|---|---|---|---|---|",
    ]
    for name, cost in costs.items():
        cells = [
            f"{value:.1f} ms ({value / max(base, 0.01):.1f} ×)"
            for value, base in (
                (cost.claim, laptop.claim),
                (cost.first_token, laptop.first_token),
                (cost.cpu, laptop.cpu),
            )
        ]
        calls = [f"{count:.0f}" if count else "–" for count in (cost.calls_of_chat, cost.calls_of_build)]
        lines.append(f"| {' | '.join([name, *cells, *calls])} |")
    return [
        *lines,
        "",
        f"Events a second through Redis: {log['redis']:.0f}, {log['redis'] / log['sqlite']:.2f} × SQLite's.",
    ]


async def measure_all(builds: int, chats: int) -> Sequence[str]:
    with tempfile.TemporaryDirectory(prefix="nexus-bench-stack-") as directory:
        costs = dict[str, Cost]()
        opened = {
            "laptop": open_laptop(Path(directory) / "laptop"),
            "stack, arq": open_stack(Path(directory) / "arq", "arq"),
            "stack, SQS": open_stack(Path(directory) / "sqs", "sqs"),
        }
        for name, opening in opened.items():
            async with opening as target:
                costs[name] = await measure_target(target, builds, chats)
        return describe(costs, await measure_log(Path(directory)))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.stack", description=__doc__)
    parser.add_argument("--builds", type=int, default=10)
    parser.add_argument("--chats", type=int, default=50)
    asked = parser.parse_args()
    sys.stdout.write("\n".join(asyncio.run(measure_all(asked.builds, asked.chats))) + "\n")


if __name__ == "__main__":
    main()
