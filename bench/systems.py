"""What is measured: each system as a process of its own, pinned to one core, in front of the same model."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

ROOT = Path(__file__).parents[1]
PEERS = ROOT / "bench" / "peers"
PEER_PYTHON = ROOT / ".bench-venv" / "peers" / "bin" / "python"
NEXUS_PYTHON = ROOT / ".bench-venv" / "nexus" / "bin" / "python"
"""Without what development needs: litestar, for one, loads pydantic where it finds it."""
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
SERVER_CORE, CLIENT_CORE = CORES[0], CORES[-1]
START_SECONDS = 60.0
STOP_SECONDS = 3.0


class Process:
    """A server: started, waited for, stopped."""

    def __init__(self, command: Sequence[str], *, port: int, ready: str, core: int, env: Mapping[str, str]) -> None:
        pinned = ["taskset", "-c", str(core), *command] if shutil.which("taskset") and len(CORES) > 1 else [*command]
        self.port, self._ready, self._began = port, ready, time.perf_counter()
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed by stop
        self._process = subprocess.Popen(
            pinned, cwd=ROOT, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=self._log
        )
        self.pid = self._process.pid

    @property
    def address(self) -> tuple[str, int]:
        return ("127.0.0.1", self.port)

    async def answers(self) -> float:
        """Seconds from the start to the first answer."""
        request = f"GET {self._ready} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\nconnection: close\r\n\r\n".encode()
        while time.perf_counter() - self._began < START_SECONDS:
            if self._process.poll() is not None:
                raise RuntimeError(f"it ended at once: {self._told()}")
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(5):
                    reader, writer = await asyncio.open_connection(*self.address)
                    writer.write(request)
                    line = await reader.readline()
                writer.close()
                if b" 200 " in line:
                    return time.perf_counter() - self._began
            await asyncio.sleep(0.005)
        raise RuntimeError("it did not answer in time")

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._log.close()

    def _told(self) -> str:
        self._log.seek(0)
        return self._log.read().decode(errors="replace")[-2000:]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def posted(address: tuple[str, int], path: str, body: bytes, content_type: str = "application/json") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nhost: {address[0]}:{address[1]}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def got(address: tuple[str, int], path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: {address[0]}:{address[1]}\r\n\r\n".encode()


class System:
    """A system under measurement. `share` of the tokens is asked of a slow one, so that a run ends."""

    name = ""
    share = 1.0
    ready = "/item"
    process: Process

    def __init__(self, data: Path) -> None:
        self.data = data

    def missing(self) -> str:
        """Why it cannot be measured; empty when it can."""
        return "" if PEER_PYTHON.exists() else "run bench/setup first"

    def command(self, port: int, model_url: str) -> Sequence[str]:
        raise NotImplementedError

    def env(self, model_url: str) -> Mapping[str, str]:
        return {}

    def start(self, model_url: str) -> Process:
        port = free_port()
        command = self.command(port, model_url)
        self.process = Process(command, port=port, ready=self.ready, core=SERVER_CORE, env=self.env(model_url))
        return self.process

    async def prepare(self) -> None:
        """What has to be there before the first start that counts."""

    async def asking(self, said: str, count: int) -> list[bytes]:
        """So many requests whose answers are streams."""
        body = f'{{"content":"{said}"}}'.encode()
        return [posted(self.process.address, "/stream", body)] * count

    def reading(self) -> bytes | None:
        """The GET of an item."""
        return got(self.process.address, "/item")


class Raw(System):
    name = "raw relay"

    def missing(self) -> str:
        return ""

    def command(self, port: int, model_url: str) -> Sequence[str]:
        return [sys.executable, "-m", "bench.relay_raw", "--port", str(port), "--model-url", model_url]


class RawJoined(Raw):
    """What one read brought is one event, as nexus does it."""

    name = "raw relay, joined"

    def command(self, port: int, model_url: str) -> Sequence[str]:
        return [*super().command(port, model_url), "--joined"]


class FastAPIRelay(System):
    name = "FastAPI relay"
    share = 0.2

    def command(self, port: int, model_url: str) -> Sequence[str]:
        return [str(PEER_PYTHON), str(PEERS / "fastapi_relay.py"), "--port", str(port), "--model-url", model_url]


class Agno(System):
    name = "Agno AgentOS"
    share = 0.05
    ready = "/health"

    def command(self, port: int, model_url: str) -> Sequence[str]:
        return [str(PEER_PYTHON), str(PEERS / "agno_app.py"), "--port", str(port), "--model-url", model_url,
                "--data", str(self.data / "agno")]  # fmt: skip

    async def asking(self, said: str, count: int) -> list[bytes]:
        return [self._asking(said) for _ in range(count)]

    def _asking(self, said: str) -> bytes:
        boundary = uuid4().hex
        fields = {"message": said, "stream": "true", "session_id": uuid4().hex}
        parts = "".join(
            f'--{boundary}\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
            for name, value in fields.items()
        )
        body = f"{parts}--{boundary}--\r\n".encode()
        return posted(self.process.address, "/agents/bench/runs", body, f"multipart/form-data; boundary={boundary}")

    def reading(self) -> bytes | None:
        return got(self.process.address, "/agents/bench")


class Nexus(System):
    """As a user starts it, on a data directory with an agent that was built by the offline model."""

    name = "nexus"
    ready = "/ready"
    requirement = "An agent that converts kilometres to miles and pounds to kilograms"

    def __init__(self, data: Path) -> None:
        super().__init__(data)
        self.agent_id = self.project_id = ""

    def missing(self) -> str:
        return ""

    def python(self) -> str:
        return str(NEXUS_PYTHON) if NEXUS_PYTHON.exists() else sys.executable

    def command(self, port: int, model_url: str) -> Sequence[str]:
        data = self.data / self.name.replace("/", "_")
        return [self.python(), "-m", "nexus", "serve", "--port", str(port), "--data-dir", str(data)]

    def env(self, model_url: str) -> Mapping[str, str]:
        plain = {name: "" for name in os.environ if name.startswith("NEXUS_")}
        if not model_url:
            return {**plain, "NEXUS_MODEL__PROVIDER": "offline"}
        return {
            **plain,
            "NEXUS_MODEL__PROVIDER": "openai",
            "NEXUS_MODEL__BASE_URL": model_url,
            "NEXUS_MODEL__NAME": "bench",
        }

    async def prepare(self) -> None:
        process = self.start("")
        try:
            await process.answers()
            async with self._session() as session:
                project = await self._posted(session, "projects", {"requirement": self.requirement})
                self.project_id = project["project_id"]
                self.agent_id = await self._built(session)
        finally:
            process.stop()

    async def _built(self, session: aiohttp.ClientSession) -> str:
        async with asyncio.timeout(START_SECONDS):
            while True:
                async with session.get(f"projects/{self.project_id}") as answer:
                    project = await answer.json()
                if project["status"] == "completed":
                    return str(project["agent_ids"][0])
                if project["status"] in ("failed", "cancelled"):
                    raise RuntimeError(f"the agent to chat with was not built: {project}")
                await asyncio.sleep(0.1)

    async def asking(self, said: str, count: int) -> list[bytes]:
        body = f'{{"content":"{said}"}}'.encode()
        async with self._session() as session:
            opened = [await self._posted(session, f"agents/{self.agent_id}/sessions", {}) for _ in range(count)]
        address = self.process.address
        return [posted(address, f"/api/v2/sessions/{one['session_id']}/stream", body) for one in opened]

    async def following(self, count: int) -> list[bytes]:
        """So many followers of a reply that does not go on."""
        async with self._session() as session:
            opened = await self._posted(session, f"agents/{self.agent_id}/sessions", {})
            path = f"sessions/{opened['session_id']}/messages"
            reply = await self._posted(session, path, {"content": "stream 1 0ms silent"})
        return [got(self.process.address, reply["events_url"])] * count

    def reading(self) -> bytes | None:
        return got(self.process.address, f"/api/v2/projects/{self.project_id}")

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(base_url=f"http://127.0.0.1:{self.process.port}/api/v2/")

    async def _posted(self, session: aiohttp.ClientSession, path: str, body: dict[str, Any]) -> dict[str, Any]:
        async with session.post(path, json=body) as answer:
            told: dict[str, Any] = await answer.json(content_type=None)
        if answer.status >= 300:
            raise RuntimeError(f"{path}: {told}")
        return told


def nexus_of(checkout: Path) -> type[Nexus]:
    """nexus of another commit: a checkout with an environment of its own (`make setup` in it)."""

    class Other(Nexus):
        name = f"nexus of {checkout.name}"

        def missing(self) -> str:
            return "" if Path(self.python()).exists() else "run make setup in it first"

        def python(self) -> str:
            return str(checkout / ".venv" / "bin" / "python")

    return Other


def model() -> Process:
    """The model that all of them ask."""
    port = free_port()
    command = [sys.executable, "-m", "bench.model_server", "--port", str(port)]
    return Process(command, port=port, ready="/v1/models", core=CLIENT_CORE, env={})


SYSTEMS: tuple[type[System], ...] = (Raw, RawJoined, Nexus, FastAPIRelay, Agno)
