"""The processes of the stack: each one started, waited for and stopped by name."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.peers.servers import (
    build_dynoxide_command,
    build_elasticmq_command,
    build_locked_moto_command,
    build_moto_command,
    build_redis_command,
    find_free_port,
)

ROOT = Path(__file__).parents[2]
READY_SECONDS = 60
STOP_SECONDS = 30
APIS, WORKERS = ("api-1", "api-2"), ("worker-1", "worker-2")
STORES: Mapping[str, Mapping[str, Callable[[], Sequence[str]]]] = {
    "tables": {"moto": build_locked_moto_command, "dynoxide": build_dynoxide_command},
    "queues": {"moto": build_moto_command, "elasticmq": build_elasticmq_command},
}
"""What may stand for DynamoDB (`STACK_TABLES`) and for SQS (`STACK_QUEUES`), and how it is started; the first unless told otherwise."""


@dataclass
class Started:
    """A process that was started. `port` is None where it listens nowhere."""

    name: str
    process: subprocess.Popen[bytes]
    port: int | None
    log: Path


class Stack:
    """Everything in one directory; what is killed may be started again under its name."""

    def __init__(self, directory: Path, *, port: int = 0, environ: Mapping[str, str] | None = None) -> None:
        self.directory = directory.absolute()
        self._environ = dict(environ or {})
        self._ports = {name: find_free_port() for name in ("redis", *STORES, *APIS)} | {
            "nginx": port or find_free_port()
        }
        self.started = dict[str, Started]()

    @property
    def url(self) -> str:
        return self.url_of("nginx")

    def url_of(self, name: str) -> str:
        return f"http://127.0.0.1:{self._ports[name]}"

    @property
    def redis_url(self) -> str:
        return f"redis://127.0.0.1:{self._ports['redis']}/0"

    def start(self) -> None:
        """Returns once all are ready."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self.start_redis()
        self._start_stores()
        for name in (*APIS, *WORKERS):
            self.start_nexus(name)
        self._start_nginx()
        for name in (*APIS, "nginx"):
            self.wait_ready(name)
        self._write_processes()

    def start_redis(self) -> None:
        command = [*build_redis_command(), "--maxmemory-policy", "noeviction"]
        self._launch("redis", [word.format(port=self._ports["redis"]) for word in command])

    def flush_redis(self) -> None:
        with socket.create_connection(("127.0.0.1", self._ports["redis"])) as connection:
            connection.sendall(b"FLUSHALL\r\n")
            connection.recv(16)

    def start_nexus(self, name: str) -> None:
        """One that was started before starts anew at its port."""
        role = name.partition("-")[0]
        arguments = ["serve", "--role", "api", "--port", str(self._ports[name])] if role == "api" else ["worker"]
        self._launch(name, [sys.executable, "-m", "nexus", *arguments], self.make_environ(name))

    def wait_ready(self, name: str) -> None:
        _wait_until(lambda: self._is_ready(name), f"{name} is not ready: see {self.directory / name}.log")

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        started = self.started[name]
        started.process.send_signal(number)
        started.process.wait(STOP_SECONDS)

    def is_alive(self, name: str) -> bool:
        return self.started[name].process.poll() is None

    def stop(self) -> None:
        """What works first, then what it works on; what does not end in time is killed."""
        working = {name: one for name, one in self.started.items() if name in ("nginx", *APIS, *WORKERS)}
        for group in (working, self.started):
            processes = [one.process for one in group.values()]
            for process in processes:
                process.terminate()
            for process in processes:
                _wait_or_kill(process)
        (self.directory / "processes.json").unlink(missing_ok=True)

    def _start_stores(self) -> None:
        for name in STORES:
            self._launch(name, find_store_command(name, self._ports[name]))
        for name in STORES:
            _wait_until(partial(_answers, self.url_of(name)), f"the {name} are not ready")
        command = [sys.executable, "-m", "nexus", "init-resources"]
        environ = {**os.environ, **self.make_environ("init")}
        subprocess.run(command, cwd=ROOT, env=environ, check=True, capture_output=True)

    def _start_nginx(self) -> None:
        program = shutil.which("nginx")
        if program is None:
            raise SystemExit("There is no nginx on PATH (Debian, Ubuntu: apt install nginx-light).")
        config = self.directory / "nginx.conf"
        text = (ROOT / "deploy/nginx.conf").read_text()
        for name in APIS:
            text = text.replace(f"server {name}:8000", f"server 127.0.0.1:{self._ports[name]}")
        text = text.replace("listen 8000", f"listen 127.0.0.1:{self._ports['nginx']}").replace(
            "/tmp/", f"{self.directory}/"
        )
        config.write_text(text)
        self._launch("nginx", [program, "-p", str(self.directory), "-c", str(config), "-g", "daemon off;"])

    def make_environ(self, name: str) -> Mapping[str, str]:
        return {
            "NEXUS_DATA_DIR": str(self.directory / "data" / name),
            "NEXUS_FILES__ROOT": str(self.directory / "files"),
            "NEXUS_TABLES__BACKEND": "dynamodb",
            "NEXUS_TABLES__ENDPOINT_URL": self.url_of("tables"),
            "NEXUS_EVENTS__BACKEND": "redis",
            "NEXUS_QUEUE__BACKEND": "sqs",
            "NEXUS_QUEUE__ENDPOINT_URL": self.url_of("queues"),
            "NEXUS_REDIS__URL": self.redis_url,
            "NEXUS_BUILDS__LEASE_SECONDS": "15",
            "NEXUS_SECRET": "of the stack on this machine",
            "NEXUS_TRUSTED_PROXIES": "127.0.0.1",
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
        } | self._environ

    def _launch(self, name: str, command: list[str], environ: Mapping[str, str] | None = None) -> None:
        log = self.directory / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **(environ or {})}, stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        self.started.pop(name, None)
        self.started[name] = Started(name, process, self._ports.get(name), log)

    def _is_ready(self, name: str) -> bool:
        if not self.is_alive(name):
            raise SystemExit(f"{name} ended: see {self.started[name].log}")
        return _answers(self.url_of(name) + "/ready")

    def _write_processes(self) -> None:
        listed = [
            {"name": one.name, "pid": one.process.pid, "port": one.port, "log": str(one.log)}
            for one in self.started.values()
        ]
        (self.directory / "processes.json").write_text(json.dumps(listed, indent=2) + "\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def find_store_command(name: str, port: int, environ: Mapping[str, str] = os.environ) -> list[str]:
    """SystemExit when what is asked for is not known, or not on this machine."""
    known, variable = STORES[name], f"STACK_{name.upper()}"
    wanted = environ.get(variable) or next(iter(known))
    if wanted not in known:
        raise SystemExit(f"{variable}={wanted} is not known. One of {', '.join(known)}.")
    return [word.format(port=port) for word in known[wanted]()]


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status < 500)
    except urllib.error.HTTPError as refusal:
        return refusal.code < 500
    except OSError:
        return False


def _wait_until(holds: Callable[[], bool], fault: str) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(fault)
        time.sleep(0.05)
