"""What a hostile program would try first. Run behind the walls by the self-test: every attempt has to fail."""

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Targets = dict[str, Any]


def run_attacks(targets: Targets) -> dict[str, str]:
    """Every attack by name, with how it was refused, or `succeeded`."""
    return {name: _run_attack(attack, targets) for name, attack in ATTACKS.items()}


def _run_attack(attack: Callable[[Targets], object], targets: Targets) -> str:
    try:
        attack(targets)
    except BaseException as refusal:
        return f"refused: {type(refusal).__name__}"
    return "succeeded"


def _read_file(path: str) -> None:
    Path(path).read_bytes()


def _read_through_symlink(at: Targets) -> None:
    link = Path("link")
    link.symlink_to(at["canary"])
    link.read_bytes()


def _fork_surviving_process(_: Targets) -> None:
    if os.fork() == 0:
        os.setsid()
        time.sleep(3)
        os._exit(0)


def _try_become_root(at: Targets) -> None:
    os.setresuid(0, 0, 0)
    if os.getuid() == at["uid"]:
        raise PermissionError("nothing was won")


def _call_libc(name: str, *arguments: Any) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


ATTACKS: dict[str, Callable[[Targets], object]] = {
    "read canary in the data directory": lambda at: _read_file(at["data_canary"]),
    "read canary outside": lambda at: _read_file(at["canary"]),
    "read password hashes": lambda _: _read_file("/etc/shadow"),
    "read environment of the server": lambda at: _read_file(f"/proc/{at['server']}/environ"),
    "read environment of the first process": lambda _: _read_file("/proc/1/environ"),
    "read memory of the server": lambda at: os.close(os.open(f"/proc/{at['server']}/mem", os.O_RDONLY)),
    "write outside": lambda at: Path(at["outside"], "written").write_text("here"),
    "follow a link outside": _read_through_symlink,
    "signal the server": lambda at: os.kill(at["server"], 0),
    "signal every process": lambda _: os.kill(-1, signal.SIGCONT),
    "reach tcp": lambda at: socket.create_connection(("127.0.0.1", at["tcp"]), 1),
    "send udp": lambda at: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", at["udp"])),
    "reach unix socket": lambda at: socket.socket(socket.AF_UNIX).connect(at["unix"]),
    "reach abstract socket": lambda at: socket.socket(socket.AF_UNIX).connect("\0" + at["abstract"]),
    "open a packet socket": lambda _: socket.socket(socket.AF_PACKET, socket.SOCK_RAW),
    "start a shell": lambda _: subprocess.run(["/bin/sh", "-c", "true"], check=True),
    "leave a process behind": _fork_surviving_process,
    "become another user": _try_become_root,
    "make a user namespace": lambda _: _call_libc("unshare", 0x10000000),
    "trace the server": lambda at: _call_libc("ptrace", 16, at["server"], None, None),
    "mount something": lambda _: _call_libc("mount", b"tmpfs", b"/", b"tmpfs", 0, None),
}
