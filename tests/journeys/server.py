"""The processes of a journey: nexus itself, the scripted model provider beside it, and commands that end by themselves."""

import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import Self

import msgspec

ROOT = Path(__file__).parents[2]
READY_SECONDS = 20.0
STOP_SECONDS = 25.0


def environment(**settings: str) -> dict[str, str]:
    """This process' environment, with these settings of nexus alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


class Process:
    """A process that says on one of its pipes when it is ready. `said` is all of that pipe, for whoever wants to know why."""

    def __init__(
        self, command: Sequence[str], *, sign: str, env: Mapping[str, str], folder: Path = ROOT, pipe: str = "stderr"
    ) -> None:
        self.said = list[str]()
        self._sign = sign
        self._ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.STDOUT if pipe == "stdout" else subprocess.PIPE}
        self._began = monotonic()
        self._process = subprocess.Popen(
            list(command), cwd=folder, env=dict(env), stdin=subprocess.DEVNULL, **{**pipes, pipe: subprocess.PIPE}
        )
        stream = self._process.stdout if pipe == "stdout" else self._process.stderr
        assert stream is not None
        self._stream = stream
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stream:
            self.said.append(line.decode(errors="replace"))
            if self._sign in self.said[-1]:
                self._ready.put(self.said[-1])
        self._ready.put(None)

    def ready(self) -> str:
        """The line that says so."""
        try:
            line = self._ready.get(timeout=READY_SECONDS)
        except queue.Empty:
            line = None
        if line is None:
            self.kill()
            raise AssertionError("It never was ready. It said:\n" + "".join(self.said))
        self.seconds_to_ready = monotonic() - self._began
        return line

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ended(self, seconds: float = STOP_SECONDS) -> int:
        """The exit code of a process that ends by itself, or was told to."""
        try:
            code = self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"It did not end in {seconds} s. It said:\n" + "".join(self.said)) from None
        self._closed()
        return code

    def kill(self) -> None:
        """As `kill -9`."""
        self._process.kill()
        self._process.wait()
        self._closed()

    def stop(self) -> int:
        """As `kill`; answers the exit code."""
        self._process.send_signal(signal.SIGTERM)
        return self.ended()

    def _closed(self) -> None:
        self._reader.join()
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.is_alive:
            self.kill()
        elif not self._stream.closed:
            self._closed()


def serve(data: Path, **settings: str) -> Process:
    """`nexus serve` on a free port."""
    command = [sys.executable, "-m", "nexus", "serve", "--port", "0", "--data-dir", str(data)]
    return Process(command, sign="nexus is ready at ", env=environment(**settings))


def url_of(ready: str) -> str:
    return ready.partition("ready at ")[2].split()[0]


class Provider:
    """The scripted model provider: lives on while nexus dies. Its log tells what it was asked."""

    def __init__(self, process: Process, log: Path) -> None:
        self._log, self.url = log, process.ready().strip()

    @property
    def settings(self) -> dict[str, str]:
        return {"NEXUS_MODEL__BASE_URL": self.url, "NEXUS_MODEL__API_KEY": "sk-journey", "NEXUS_MODEL__NAME": "scripted"}

    def asked(self) -> list[str]:
        """For each request the stage that asked, or `chat`."""
        topics = list[str]()
        for line in self._log.read_text().splitlines() if self._log.exists() else []:
            form = msgspec.json.decode(line).get("response_format") or {}
            name = (form.get("json_schema") or {}).get("name", "chat")
            topics.append(name.removeprefix("build_"))
        return topics


@contextmanager
def provider(folder: Path, script: Mapping[str, object]) -> Iterator[Provider]:
    path, log = folder / "script.json", folder / "asked.jsonl"
    path.write_bytes(msgspec.json.encode(script))
    command = [sys.executable, "-m", "tests.openai_server", "--script", str(path), "--log", str(log)]
    with Process(command, sign="http://", env=environment(), pipe="stdout") as process:
        yield Provider(process, log)
        process.stop()


def command(*arguments: str, folder: Path, seconds: float = 60, **settings: str) -> subprocess.CompletedProcess[str]:
    """A `nexus` command that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "nexus", *arguments],
        cwd=folder,
        env=environment(**settings),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
