"""What a chaos run is made of: a nexus that can be killed at any time, a model server beside it, and a client that survives both.

Everything is started with a pipe that holds it: when the bench dies, so do they. What a killed server leaves behind comes to this process
(it adopts orphans), where it is found and counted."""

import asyncio
import contextlib
import ctypes
import json
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import msgspec

from tests.chaos.model import Script

JSON = dict[str, Any]
ROOT = Path(__file__).parents[2]
READY_SECONDS = 30.0
ANSWER_SECONDS = 2.0
_ANSWER = b"HTTP/1.1 "
KILLED = 137
PORTS = range(15_000, 32_000)
TERMINAL = ("completed", "failed", "cancelled")
_PR_SET_CHILD_SUBREAPER = 36

PACE = {
    "NEXUS_BUILDS__HEARTBEAT_SECONDS": "0.2",
    "NEXUS_BUILDS__LEASE_SECONDS": "2",
    "NEXUS_BUILDS__SWEEP_SECONDS": "0.3",
    "NEXUS_BUILDS__PER_TENANT": "1000",
    "NEXUS_LIMITS__CONNECTIONS_PER_ADDRESS": "10000",
    "NEXUS_LOG__LEVEL": "warning",
    "NEXUS_LOG__FORMAT": "json",
}
"""Time, scaled: so that what takes minutes in an app takes seconds here."""


class Violation(AssertionError):
    """Something happened that must not. The sentence says what."""


def must(holds: object, sentence: str) -> None:
    if not holds:
        raise Violation(sentence)


def children() -> set[int]:
    """Of this process, by their ids."""
    found = set[int]()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def free_port() -> int:
    """Below those that the kernel gives to clients: no reader of another bench may sit on it while its server is down."""
    while True:
        port = PORTS.start + secrets.randbelow(len(PORTS))
        with socket.socket() as unused, contextlib.suppress(OSError):
            unused.bind(("127.0.0.1", port))
            return port


def rooms_of(data: Path) -> Path:
    """Where a server makes the rooms in which it runs code: beside its data, so that what stays there is seen."""
    return data.parent / "rooms"


class Nexus:
    """One server process after the other on one data directory and one port."""

    def __init__(self, data: Path, *, environ: Mapping[str, str], command: tuple[str, ...] = ()) -> None:
        self.data, self.port = data, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.starts = 0
        self.began: list[float] = []
        self._environ = {name: text for name, text in os.environ.items() if not name.startswith("NEXUS_")}
        self._environ |= {**PACE, "TMPDIR": str(rooms_of(data)), **environ}
        self._command, self._process = command, None
        self.also: dict[str, str] = {}
        self.said = data.parent / f"{data.name}.log"

    _process: asyncio.subprocess.Process | None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def start(self, **environ: str) -> float:
        """Returns once requests are answered: the seconds that took. A server that a failpoint ends before answers `inf`."""
        began = time.time()
        serve = (
            sys.executable,
            "-m",
            "nexus",
            "serve",
            "--attached",
            "--port",
            str(self.port),
            "--data-dir",
            str(self.data),
        )
        with self.said.open("ab") as said:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, *serve, env=self._environ | self.also | environ, cwd=ROOT,
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=said, start_new_session=True,
            )  # fmt: skip
        self.starts += 1
        self.began.append(began)
        return await self._ready(began)

    async def _ready(self, began: float) -> float:
        assert self._process is not None
        while time.time() - began < READY_SECONDS:
            if self._process.returncode is not None:
                return float("inf")
            if await self._answers():
                return time.time() - began
            await asyncio.sleep(0.02)
        raise Violation(f"The server was not ready after {READY_SECONDS:g} s. It said: {self.words()}")

    async def _answers(self) -> bool:
        """Whether a request is answered. A connection proves nothing: for some milliseconds the kernel takes them for a server that has
        just been killed."""
        with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(ANSWER_SECONDS):
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
                    return await reader.readexactly(len(_ANSWER)) == _ANSWER
                finally:
                    writer.close()
        return False

    def words(self) -> str:
        """The end of what the servers said, but that they are ready."""
        said = self.said.read_text(errors="replace").splitlines() if self.said.exists() else []
        return "\n".join(line for line in said if not line.startswith("nexus is ready"))[-2000:]

    def send(self, number: int) -> None:
        if self.alive:
            os.kill(self.pid, number)

    async def kill(self) -> None:
        self.send(signal.SIGKILL)
        await self.ended()

    async def terminate(self, within: float = 30) -> tuple[int, float]:
        """The exit code of a drained server, and how long it took."""
        began = time.monotonic()
        self.send(signal.SIGTERM)
        code = await self.ended(within)
        return code, time.monotonic() - began

    async def ended(self, within: float = 30) -> int:
        """How the process ended, by itself or by us."""
        assert self._process is not None
        if self._process.stdin is not None and self._process.returncode is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(within):
                code = await self._process.wait()
        except TimeoutError:
            raise Violation(f"The server had not ended after {within:g} s.") from None
        return code


class ModelServer:
    """The model server process; `ledger` outlives it."""

    def __init__(self, directory: Path, script: Script) -> None:
        self.ledger, self._script_file = directory / "ledger.jsonl", directory / "script.json"
        self._script = msgspec.structs.replace(script, port=free_port())
        self.url = f"http://127.0.0.1:{self._script.port}/v1"
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        return self._process.pid if self._process else 0

    async def start(self) -> None:
        self._script_file.write_bytes(msgspec.json.encode(self._script))
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.chaos.model", "--script", str(self._script_file), "--log", str(self.ledger),
            cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        must(await self._process.stdout.readline(), "The model server did not start.")

    async def kill(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        assert self._process.stdout is not None
        await self._process.stdout.read()
        await self._process.wait()

    @property
    def script(self) -> Script:
        return self._script

    async def say(self, script: Script) -> None:
        """From now on this, by another process at the same address."""
        lock, port = self._script.lock, self._script.port
        self._script = msgspec.structs.replace(script, lock=lock, port=port)
        await self.kill()
        await self.start()

    def lines(self) -> list[JSON]:
        """The ledger; a line that a kill cut is none."""
        if not self.ledger.exists():
            return []
        return [json.loads(line) for line in self.ledger.read_text().splitlines() if line.endswith("}")]


class Api:
    """The public API, asked by somebody who asks again when nobody answers. What was acknowledged is remembered by its caller."""

    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url, self.http = url, http
        self.lost = 0

    async def call(self, method: str, path: str, body: JSON | None = None, *, key: str = "") -> tuple[int, JSON]:
        """One try. Raises aiohttp.ClientError or TimeoutError where what happened is not known."""
        headers = {"Idempotency-Key": key} if key else {}
        url = path if path.startswith("http") else f"{self.url}/api/v2{path}"
        async with self.http.request(method, url, json=body, headers=headers) as answer:
            text = await answer.read()
            return answer.status, json.loads(text) if text else {}

    async def insist(
        self, method: str, path: str, body: JSON | None = None, *, key: str = "", within: float = 30
    ) -> tuple[int, JSON]:
        """Asks until there is an answer that is no 503."""
        until = time.monotonic() + within
        while True:
            with contextlib.suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
                status, found = await self.call(method, path, body, key=key)
                if status != 503:
                    return status, found
            self.lost += 1
            must(time.monotonic() < until, f"{method} {path} had no answer for {within:g} s.")
            await asyncio.sleep(0.05)

    async def begin(self, mark: int) -> JSON:
        body = {"requirement": f"run_{mark}_x: an agent that doubles a number.", "priority": 3}
        status, started = await self.insist("POST", "/projects", body, key=f"begin-{mark}-{self.url}")
        must(status == 202, f"POST /projects answered {status}: {started}")
        return started

    async def project(self, project_id: str) -> JSON:
        return (await self.insist("GET", f"/projects/{project_id}"))[1]

    async def control(self, project_id: str, action: str) -> tuple[int, JSON]:
        return await self.insist("POST", f"/projects/{project_id}/control", {"action": action})

    async def until(self, project_id: str, *wanted: str, within: float = 60) -> JSON:
        """The project once it is in one of these states."""
        until = time.monotonic() + within
        while (project := await self.project(project_id))["status"] not in wanted:
            must(time.monotonic() < until, f"{project_id} is {project['status']} after {within:g} s, not {wanted}.")
            await asyncio.sleep(0.03)
        return project


class Bench:
    """One experiment's world: a directory of its own, both servers, a client, and chance."""

    def __init__(
        self, directory: Path, seed: int, script: Script, http: aiohttp.ClientSession, model: ModelServer | None = None
    ) -> None:
        self.directory, self.random = directory, Random(seed)
        self.data = directory / "data"
        lock = str(self.data / "lock")
        self.model = model or ModelServer(directory, msgspec.structs.replace(script, lock=lock))
        self._http, self._before = http, children()
        self.nexus = self.another()
        self.api = Api(self.nexus.url, http)

    @property
    def known(self) -> set[int]:
        """Children of this process that are no orphans: those that were there before, and the model server."""
        return self._before | {self.model.pid}

    def another(self, *, command: tuple[str, ...] = (), **environ: str) -> Nexus:
        """A server on this data directory, not started; one at a time may work in it."""
        model = {
            "NEXUS_MODEL__BASE_URL": self.model.url,
            "NEXUS_MODEL__NAME": "marked",
            "NEXUS_MODEL__PROVIDER": "openai",
        }
        return Nexus(self.data, environ=model | environ, command=command)

    def use(self, nexus: Nexus) -> None:
        self.nexus, self.api = nexus, Api(nexus.url, self._http)

    @property
    def http(self) -> aiohttp.ClientSession:
        return self._http


@asynccontextmanager
async def bench(
    name: str, seed: int, script: Script | None = None, *, like: Path | None = None, model: ModelServer | None = None
) -> AsyncIterator[Bench]:
    """A world, gone at the end with all that was started in it. `like`: a data directory to begin with; `model`: a model server that
    several worlds share."""
    async with AsyncExitStack() as stack:
        directory = Path(tempfile.mkdtemp(prefix=f"nexus-chaos-{name}-"))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        (directory / "rooms").mkdir()
        if like is not None:
            shutil.copytree(like, directory / "data", symlinks=True)
        timeout = aiohttp.ClientTimeout(total=30, connect=2)
        connector = aiohttp.TCPConnector(limit=0)
        http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout, connector=connector))
        world = Bench(directory, seed, script or Script(), http, model)
        if model is None:
            await world.model.start()
            stack.push_async_callback(world.model.kill)
        stack.push_async_callback(_stopped, world)
        try:
            yield world
        except Exception as wrong:
            wrong.add_note(f"The servers said: {world.nexus.words()}")
            raise


@asynccontextmanager
async def model_server(script: Script) -> AsyncIterator[ModelServer]:
    """One for several worlds."""
    with tempfile.TemporaryDirectory(prefix="nexus-chaos-model-") as directory:
        server = ModelServer(Path(directory), script)
        await server.start()
        try:
            yield server
        finally:
            await server.kill()


async def _stopped(world: Bench) -> None:
    if world.nexus.alive:
        world.nexus.send(signal.SIGCONT)
        await world.nexus.kill()


@asynccontextmanager
async def alongside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Runs something beside what is inside, until that is over; what goes wrong in either ends both."""
    try:
        async with asyncio.TaskGroup() as group:
            task = group.create_task(work)
            yield
            task.cancel()
    except BaseExceptionGroup as several:
        raise several.exceptions[0] from None


@contextlib.contextmanager
def adopting() -> Iterator[None]:
    """Orphans of a killed server come to this process, where they can be counted."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
