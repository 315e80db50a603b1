"""Real servers for the tests, each a process on a free port of this machine, without files. `make peers` fetches those of .peers."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

PEERS = Path(__file__).parents[2] / ".peers"
READY_SECONDS = 60.0


class MissingPeer(SystemExit):
    """Says what is missing. A program that needs it ends."""


def build_redis_command() -> list[str]:
    files = ["--save", "", "--appendonly", "no"]
    return [_find_program("redis-server"), "--port", "{port}", "--bind", "127.0.0.1", *files, "--loglevel", "warning"]


def build_locked_moto_command() -> list[str]:
    """For DynamoDB: one request after the other."""
    return [sys.executable, "-m", "tests.moto_server", "--port", "{port}"]


def build_moto_command() -> list[str]:
    """For SQS: while one polls, others are answered."""
    return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "{port}"]


def build_dynoxide_command() -> list[str]:
    """For DynamoDB."""
    return [_find_program(str(PEERS / "dynoxide/bin/dynoxide")), "--port", "{port}", "--log", "quiet"]


def build_elasticmq_command() -> list[str]:
    """For SQS. `{port}` stands in the addresses of the queues as well."""
    jars = PEERS / "elasticmq"
    if not jars.is_dir():
        raise MissingPeer(f"there is no {jars}: make peers")
    options = {
        "rest-sqs.bind-hostname": "127.0.0.1",
        "rest-sqs.bind-port": "{port}",
        "node-address.host": "127.0.0.1",
        "node-address.port": "{port}",
        "rest-stats.enabled": "false",
    }
    memory = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    settings = [f"-D{name}={value}" for name, value in options.items()]
    return [_find_program("java"), *memory, *settings, "-cp", f"{jars}/*", "org.elasticmq.server.Main"]


def _find_program(name: str) -> str:
    if found := shutil.which(name):
        return found
    raise MissingPeer(f"there is no {name} on this machine")


class PeerServer:
    """Can be killed and started anew at its address, with nothing in its memory. `{port}` in the command is the port."""

    def __init__(self, command: Sequence[str]) -> None:
        self.port = find_free_port()
        self._command = [word.format(port=self.port) for word in command]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns once it listens."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_SECONDS
        while not self._is_listening():
            assert self._process.poll() is None, f"{self._command[0]} ended"
            assert time.monotonic() < deadline, f"{self._command[0]} did not start"
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _is_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def find_command(build_command: Callable[[], Sequence[str]]) -> Sequence[str]:
    """Skips the test where the peer is missing, unless TEST_PEERS_REQUIRED says that it has to be there."""
    try:
        return build_command()
    except MissingPeer as missing:
        if os.environ.get("TEST_PEERS_REQUIRED"):
            raise AssertionError(str(missing)) from None
        pytest.skip(str(missing))


@contextmanager
def run_peer(build_command: Callable[[], Sequence[str]]) -> Iterator[PeerServer]:
    server = PeerServer(find_command(build_command))
    try:
        server.start()
        yield server
    finally:
        server.kill()


def find_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
