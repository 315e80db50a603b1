"""A real redis-server for the tests, on a free port of this machine, without files."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

MISSING = "there is no redis-server on this machine"


def find_redis_server() -> str:
    """Its path. Skips the test where there is none, unless TEST_PEERS_REQUIRED says that it has to be there."""
    if found := shutil.which("redis-server"):
        return found
    if os.environ.get("TEST_PEERS_REQUIRED"):
        raise AssertionError(MISSING)
    pytest.skip(MISSING)


class RedisServer:
    """Can be killed and started anew at its address, with nothing in its memory."""

    def __init__(self, program: str) -> None:
        self._program, self.port = program, find_free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        options = [
            "--port",
            str(self.port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "no",
            "--loglevel",
            "warning",
        ]
        self._process = subprocess.Popen([self._program, *options], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + 20
        while not self._is_listening():
            assert time.monotonic() < deadline, "redis-server did not start"
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def run_redis() -> Iterator[RedisServer]:
    server = RedisServer(find_redis_server())
    server.start()
    try:
        yield server
    finally:
        server.kill()


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
