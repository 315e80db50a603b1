"""A network of one's own, in which packets can be lost. It is gone with the last process in it, whatever that process dies of: no rule
is ever left on the machine."""

import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import socket
import struct
import subprocess
from collections.abc import Collection, Iterator

from tests.chaos.experiments import Skipped

_NEW_NETWORK = 0x40000000
_READ_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_INTERFACE = "16sH22x"
_COUNTED = re.compile(r"^\[(\d+):\d+\] -A INPUT .*-j DROP", re.MULTILINE)


@contextlib.contextmanager
def own_network() -> Iterator[None]:
    """For this thread, and what it starts: a loopback of its own and nothing else. Skipped where the machine does not let us."""
    if lacking := [name for name in ("iptables", "iptables-restore", "iptables-save") if shutil.which(name) is None]:
        raise Skipped(f"there is no {lacking[0]} to lose packets with")
    before = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        try:
            _kernel("unshare", _NEW_NETWORK)
        except OSError as refused:
            raise Skipped(f"a network of its own needs root: {refused}") from None
        try:
            _loopback_up()
            yield
        finally:
            _kernel("setns", before, _NEW_NETWORK)
    finally:
        os.close(before)


def _kernel(call: str, *arguments: int) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), call)(*arguments):
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = fcntl.ioctl(any_socket, _READ_FLAGS, struct.pack(_INTERFACE, b"lo", 0))
        _, flags = struct.unpack(_INTERFACE, asked)
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack(_INTERFACE, b"lo", flags | _UP))


class Loss:
    """Between a server's port and some ports of clients every packet is dropped, both ways, where it comes in."""

    def __init__(self, port: int, clients: Collection[int]) -> None:
        self._rules = [
            f"-A INPUT -p tcp --sport {one} --dport {other} -j DROP"
            for client in clients
            for one, other in ((port, client), (client, port))
        ]

    def __enter__(self) -> "Loss":
        _loaded(self._rules)
        return self

    def __exit__(self, *_: object) -> None:
        _loaded([])

    def dropped(self) -> list[int]:
        """Packets, for each rule."""
        told = subprocess.run(["iptables-save", "-c", "-t", "filter"], capture_output=True, text=True, check=True)
        return [int(count) for count in _COUNTED.findall(told.stdout)]


def _loaded(rules: Collection[str]) -> None:
    """These rules, and no others."""
    text = "\n".join(("*filter", ":INPUT ACCEPT [0:0]", *rules, "COMMIT", ""))
    loaded = subprocess.run(["iptables-restore"], input=text, capture_output=True, text=True)
    if loaded.returncode:
        raise Skipped(f"no packets can be lost here: {loaded.stderr.strip()}")
