"""`nexus serve`, and a server of one's own for one command."""

import asyncio
import io
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from argparse import Namespace
from pathlib import Path

import pytest

from nexus.cli.asked import Asked
from nexus.cli.exits import Ended
from nexus.cli.output import Output
from nexus.cli.servers import server_for
from nexus.client import Client, Unreachable
from tests.client import fake as say
from tests.client.conftest import Clock
from tests.client.fake import Fake

SERVER = """
import http.server, os, sys, threading
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("X-Request-Id", "req_1"); self.end_headers()
    def log_message(self, *_): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
server.serve_forever()
"""


def free_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
        return port


def asked(url: str, *, serve: bool) -> Asked:
    output = Output(stdin=io.StringIO(), stdout=io.StringIO(), stderr=io.StringIO())
    return Asked(arguments=Namespace(url=url, serve=serve), environ=dict(os.environ), output=output)


async def test_a_server_that_answers_is_used_as_it_is(fake: Fake):
    fake.on("GET", "/ready", say.nothing(503))
    async with Client(fake.url) as client, server_for(asked(fake.url, serve=True), client) as own:
        assert own is False


async def test_without_being_asked_no_server_is_started():
    url = f"http://127.0.0.1:{free_port()}"
    async with Client(url) as client:
        with pytest.raises(Unreachable):
            async with server_for(asked(url, serve=False), client):
                pass


async def test_a_server_is_started_used_stopped_and_people_are_told():
    port = free_port()
    what = asked(f"http://127.0.0.1:{port}", serve=True)
    async with Client(what.url) as client:
        async with server_for(what, client, command=[sys.executable, "-c", SERVER, str(port)]) as own:
            assert own is True
            assert await client.ready()
        with pytest.raises(Unreachable):
            await client.ready()
    said = what.output.err.getvalue()
    assert "one is started for this command" in said
    assert "is stopped" in said


async def test_a_server_that_dies_at_once_is_quoted():
    what = asked(f"http://127.0.0.1:{free_port()}", serve=True)
    dying = [sys.executable, "-c", "import sys; sys.exit('the directory is in use')"]
    async with Client(what.url) as client:
        with pytest.raises(Ended, match="the directory is in use") as ended:
            async with server_for(what, client, command=dying, sleep=asyncio.sleep):
                pass
    assert ended.value.code == 3


async def test_the_server_is_stopped_though_the_command_fails():
    port = free_port()
    what = asked(f"http://127.0.0.1:{port}", serve=True)
    async with Client(what.url, sleep=Clock().sleep) as client:
        with pytest.raises(RuntimeError):
            async with server_for(what, client, command=[sys.executable, "-c", SERVER, str(port)]):
                raise RuntimeError
        with pytest.raises(Unreachable):
            await client.ready()


def served(directory: Path, *options: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "nexus", "serve", "--port", "0", "--data-dir", str(directory), *options]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return subprocess.Popen(
        command, env=environ | {"NEXUS_URL": "http://x", "NEXUS_LOG__LEVEL": "error"},
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ready_url(process: "subprocess.Popen[str]") -> str:
    assert process.stderr is not None
    line = next(line for line in process.stderr if "ready at" in line)
    return line.split("ready at ")[1].split()[0]


def test_serve_says_where_it_is_ready_and_ends_on_sigterm(tmp_path: Path):
    with served(tmp_path / "data") as process:
        try:
            with urllib.request.urlopen(f"{ready_url(process)}/ready", timeout=10) as answer:
                assert answer.status == 200
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_an_attached_server_ends_with_the_process_that_started_it(tmp_path: Path):
    with served(tmp_path / "data", "--attached") as process:
        try:
            ready_url(process)
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(30) == 0
        finally:
            process.kill()


def test_serve_names_the_address_that_is_taken_and_the_directory_that_is_in_use(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        with served(tmp_path / "data", "--port", port) as process:
            _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"127.0.0.1:{port}" in complaint
    assert "Traceback" not in complaint


def test_serve_refuses_an_open_address_without_a_token(tmp_path: Path):
    with served(tmp_path / "data", "--host", "0.0.0.0") as process:
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "NEXUS_AUTH__TOKEN" in complaint
