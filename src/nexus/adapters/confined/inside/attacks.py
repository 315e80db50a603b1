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


def attempt(targets: Targets) -> dict[str, str]:
    """Every attack by name, with how it was refused, or `succeeded`."""
    return {name: _outcome(attack, targets) for name, attack in ATTACKS.items()}


def _outcome(attack: Callable[[Targets], object], targets: Targets) -> str:
    try:
        attack(targets)
    except BaseException as refusal:
        return f"refused: {type(refusal).__name__}"
    return "succeeded"


def read_canary_in_the_data_directory(targets: Targets) -> None:
    Path(targets["data_canary"]).read_bytes()


def read_canary_outside(targets: Targets) -> None:
    Path(targets["canary"]).read_bytes()


def read_password_hashes(targets: Targets) -> None:
    Path("/etc/shadow").read_bytes()


def read_environment_of_the_server(targets: Targets) -> None:
    Path(f"/proc/{targets['server']}/environ").read_bytes()


def read_environment_of_the_first_process(targets: Targets) -> None:
    Path("/proc/1/environ").read_bytes()


def read_memory_of_the_server(targets: Targets) -> None:
    os.close(os.open(f"/proc/{targets['server']}/mem", os.O_RDONLY))


def write_outside(targets: Targets) -> None:
    Path(targets["outside"], "written").write_text("here")


def follow_a_link_outside(targets: Targets) -> None:
    link = Path("link")
    link.symlink_to(targets["canary"])
    link.read_bytes()


def signal_the_server(targets: Targets) -> None:
    os.kill(targets["server"], 0)


def signal_every_process(targets: Targets) -> None:
    os.kill(-1, signal.SIGCONT)


def reach_tcp(targets: Targets) -> None:
    socket.create_connection(("127.0.0.1", targets["tcp"]), 1).close()


def send_udp(targets: Targets) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", targets["udp"]))


def reach_unix_socket(targets: Targets) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(targets["unix"])


def reach_abstract_socket(targets: Targets) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + targets["abstract"])


def open_a_packet_socket(targets: Targets) -> None:
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()


def start_a_shell(targets: Targets) -> None:
    subprocess.run(["/bin/sh", "-c", "true"], check=True)


def leave_a_process_behind(targets: Targets) -> None:
    if os.fork() == 0:
        os.setsid()
        time.sleep(3)
        os._exit(0)


def become_another_user(targets: Targets) -> None:
    os.setresuid(0, 0, 0)
    if os.getuid() == targets["uid"]:
        raise PermissionError("nothing was won")


def make_a_user_namespace(targets: Targets) -> None:
    _through_libc("unshare", 0x10000000)


def trace_the_server(targets: Targets) -> None:
    _through_libc("ptrace", 16, targets["server"], None, None)


def mount_something(targets: Targets) -> None:
    _through_libc("mount", b"tmpfs", b"/", b"tmpfs", 0, None)


def _through_libc(name: str, *arguments: Any) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) < 0:
        raise OSError(ctypes.get_errno(), name)


ATTACKS: dict[str, Callable[[Targets], object]] = {
    attack.__name__.replace("_", " "): attack
    for attack in (
        read_canary_in_the_data_directory,
        read_canary_outside,
        read_password_hashes,
        read_environment_of_the_server,
        read_environment_of_the_first_process,
        read_memory_of_the_server,
        write_outside,
        follow_a_link_outside,
        signal_the_server,
        signal_every_process,
        reach_tcp,
        send_udp,
        reach_unix_socket,
        reach_abstract_socket,
        open_a_packet_socket,
        start_a_shell,
        leave_a_process_behind,
        become_another_user,
        make_a_user_namespace,
        trace_the_server,
        mount_something,
    )
}
