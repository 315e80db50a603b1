"""`nexus serve`, and a server of one's own for one command."""

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

from nexus.adapters.sqlite.lock import find_lock_holder_pid
from nexus.cli.asked import Asked
from nexus.cli.exits import Ended
from nexus.cli.output import Output
from nexus.cli.servers import provide_server
from nexus.client import Client, Unreachable
from nexus.providers.file import Entry, set_default_model
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
    async with Client(fake.url) as client, provide_server(asked(fake.url, serve=True), client) as own:
        assert own is False


async def test_without_being_asked_no_server_is_started():
    url = f"http://127.0.0.1:{free_port()}"
    async with Client(url) as client:
        with pytest.raises(Unreachable):
            async with provide_server(asked(url, serve=False), client):
                pass


async def test_a_server_is_started_used_stopped_and_people_are_told():
    port = free_port()
    what = asked(f"http://127.0.0.1:{port}", serve=True)
    async with Client(what.server_url) as client:
        async with provide_server(what, client, command=[sys.executable, "-c", SERVER, str(port)]) as own:
            assert own is True
            assert await client.ready()
        with pytest.raises(Unreachable):
            await client.ready()
    said = what.output.stderr.getvalue()
    assert "one is started for this command" in said
    assert "is stopped" in said


async def test_a_server_that_dies_at_once_is_quoted():
    what = asked(f"http://127.0.0.1:{free_port()}", serve=True)
    dying = [sys.executable, "-c", "import sys; sys.exit('the directory is in use')"]
    async with Client(what.server_url) as client:
        with pytest.raises(Ended, match="the directory is in use") as ended:
            async with provide_server(what, client, command=dying):
                pass
    assert ended.value.code == 3


async def test_the_server_is_stopped_though_the_command_fails():
    port = free_port()
    what = asked(f"http://127.0.0.1:{port}", serve=True)
    async with Client(what.server_url, sleep=Clock().sleep) as client:
        with pytest.raises(RuntimeError):
            async with provide_server(what, client, command=[sys.executable, "-c", SERVER, str(port)]):
                raise RuntimeError
        with pytest.raises(Unreachable):
            await client.ready()


def served(directory: Path, *options: str, **settings: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "nexus", "serve", "--port", "0", "--data-dir", str(directory), *options]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    return subprocess.Popen(
        command, env=environ | {"NEXUS_URL": "http://x", "NEXUS_LOG__LEVEL": "error"} | settings,
        stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def refused(directory: Path, *options: str, **settings: str) -> str:
    """What a server says that does not start: one line, and exit code 2."""
    with served(directory, *options, **settings) as process:
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 2, complaint
    assert len(complaint.splitlines()) == 1, complaint
    return complaint


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


def test_serve_names_the_port_that_is_taken_and_what_to_do(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        complaint = refused(tmp_path / "data", "--port", port)
    assert f"Port {port} on 127.0.0.1 is taken" in complaint
    assert "--port" in complaint
    assert not (tmp_path / "data" / "nexus.db").exists(), "a server that cannot listen does not begin to work"


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid"])
def test_serve_names_an_address_that_is_not_of_this_machine(tmp_path: Path, host: str):
    complaint = refused(tmp_path / "data", "--host", host, NEXUS_AUTH__TOKEN="sixteen-letters!")
    assert f"Cannot listen on {host}" in complaint
    assert "--host" in complaint


def test_serve_explains_a_data_directory_that_is_a_file(tmp_path: Path):
    (tmp_path / "README.md").write_text("# A file")
    complaint = refused(tmp_path / "README.md")
    assert "README.md is a file, not a directory" in complaint
    assert "--data-dir" in complaint


def test_serve_refuses_to_start_without_git(tmp_path: Path):
    assert "no git on PATH. Install git" in refused(tmp_path / "data", PATH=str(tmp_path))


@pytest.mark.parametrize("token", ["", "abc"])
def test_serve_refuses_an_open_address_without_a_token_that_cannot_be_guessed(tmp_path: Path, token: str):
    assert "NEXUS_AUTH__TOKEN" in refused(tmp_path / "data", "--host", "0.0.0.0", NEXUS_AUTH__TOKEN=token)


def test_serve_warns_of_a_short_token_and_names_the_model_that_answers(tmp_path: Path):
    data = tmp_path / "data"
    set_default_model(data, "custom/通义", Entry(name="custom/通义", base_url="http://127.0.0.1:9/v1"))
    with served(data, NEXUS_AUTH__TOKEN="abc") as process:
        try:
            assert process.stderr is not None
            warning, ready = next(process.stderr), next(process.stderr)
            assert "NEXUS_AUTH__TOKEN has fewer than 16 characters" in warning
            assert "model: 通义 at http://127.0.0.1:9/v1" in ready
            assert find_lock_holder_pid(data) == str(process.pid)
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
        finally:
            process.kill()
    assert find_lock_holder_pid(data) is None


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("NEXUS_MODEL__BASE_URL", "http://a/v1/chat/completions", "write http://a/v1."),
        ("NEXUS_MODEL__API_KEY", "Bearer canary", "NEXUS_MODEL__API_KEY is wrong"),
    ],
)
def test_serve_refuses_an_address_or_a_key_that_cannot_work(tmp_path: Path, name: str, value: str, told: str):
    complaint = refused(tmp_path / "data", **{name: value})
    assert (told in complaint, "canary" in complaint) == (True, False)


def test_serve_says_that_the_token_of_a_client_is_not_that_of_a_server(tmp_path: Path):
    with served(tmp_path / "data", NEXUS_TOKEN="what-a-client-sends") as process:
        try:
            assert process.stderr is not None
            assert next(process.stderr) == (
                "nexus: NEXUS_TOKEN is what a client sends; what a server asks for is NEXUS_AUTH__TOKEN.\n"
            )
        finally:
            process.kill()
