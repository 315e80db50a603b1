"""The processes of a journey: nexus itself, the scripted model provider beside it, and commands that end by themselves."""

import asyncio
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Any, Self

from tests.openai_server import OpenAIServer

NEXUS = (sys.executable, "-m", "nexus")
SIGN = "nexus is ready at "
READY_SECONDS = 20.0
STOP_SECONDS = 25.0
KEY = "sk-journey"
MARK = re.compile(r"\(marked (\w+)\)")


def environment(**settings: str) -> dict[str, str]:
    """This process' environment, with these settings of nexus alone."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return {**kept, "PYTHONUNBUFFERED": "1", **settings}


class Server:
    """`nexus serve` on a free port. `said` is its stderr, for whoever wants to know why."""

    def __init__(self, data: Path, **settings: str) -> None:
        self.said = list[str]()
        self.seconds_to_ready = 0.0
        self._ready: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._began = monotonic()
        self._process = subprocess.Popen(
            [*NEXUS, "serve", "--port", "0", "--data-dir", str(data)],
            env=environment(**settings),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self._process.stderr is not None
        self._stream = self._process.stderr
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._stream:
            self.said.append(line.decode(errors="replace"))
            if SIGN in self.said[-1]:
                self._ready.put(self.said[-1].partition(SIGN)[2].split()[0])
        self._ready.put(None)

    def ready(self) -> str:
        """Its URL, once it says that it is ready."""
        try:
            url = self._ready.get(timeout=READY_SECONDS)
        except queue.Empty:
            url = None
        if url is None:
            self.kill()
            raise AssertionError("It never was ready. It said:\n" + "".join(self.said))
        self.seconds_to_ready = monotonic() - self._began
        return url

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


class _Listening(OpenAIServer):
    """Tells what it is asked before it answers. Where a conversation bears a mark, the answers under `topic@mark` are given."""

    def __init__(self, heard: Callable[[str], None], **script: Any) -> None:
        super().__init__(**script)
        self._heard = heard

    async def _note(self, body: dict[str, Any]) -> None:
        await super()._note(body)
        self._heard(self._topic(body).removeprefix("build_"))

    def _topic(self, body: dict[str, Any]) -> str:
        topic, marked = super()._topic(body), MARK.search(json.dumps(body["messages"], ensure_ascii=False))
        return f"{topic}@{marked[1]}" if marked else topic


class Provider:
    """The scripted model provider, in a thread of the journey: it lives on while nexus dies, and knows what it was asked."""

    def __init__(self, script: Mapping[str, Any]) -> None:
        self._asked = list[str]()
        self._more = threading.Condition()
        self._urls: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._stop: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._answers(script)))

    async def _answers(self, script: Mapping[str, Any]) -> None:
        stopped, loop = asyncio.Event(), asyncio.get_running_loop()
        self._stop = lambda: loop.call_soon_threadsafe(stopped.set)
        async with _Listening(self._heard, **script) as server:
            self._urls.put(server.url)
            await stopped.wait()

    def _heard(self, topic: str) -> None:
        with self._more:
            self._asked.append(topic)
            self._more.notify_all()

    @property
    def settings(self) -> dict[str, str]:
        """What nexus has to be told to use it."""
        return {"NEXUS_MODEL__BASE_URL": self.url, "NEXUS_MODEL__API_KEY": KEY, "NEXUS_MODEL__NAME": "scripted"}

    def asked(self, mark: str = "") -> list[str]:
        """For each request, in order, the stage that asked, or `chat`; of the conversations with a mark, if one is given."""
        with self._more:
            known = list(self._asked)
        return [topic.partition("@")[0] for topic in known if not mark or topic.endswith(f"@{mark}")]

    def wait_for(self, topic: str, times: int = 1) -> None:
        """Returns once it was asked this so often."""
        with self._more:
            enough = self._more.wait_for(lambda: self._asked.count(topic) >= times, READY_SECONDS)
        assert enough, f"{topic} was not asked {times} times: {self.asked()}"

    def __enter__(self) -> Self:
        self._thread.start()
        self.url = self._urls.get(timeout=READY_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        self._thread.join()


def command(*arguments: str, folder: Path, seconds: float = 60, **settings: str) -> subprocess.CompletedProcess[str]:
    """A `nexus` command that ends by itself."""
    return subprocess.run(
        [*NEXUS, *arguments],
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
