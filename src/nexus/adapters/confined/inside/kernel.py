"""The few calls to the kernel that the standard library has no name for. Linux, x86_64 and aarch64."""

import ctypes
import os
import platform

NEW_MOUNTS, NEW_HOST_NAME, NEW_IPC = 0x00020000, 0x04000000, 0x08000000
NEW_USERS, NEW_PROCESSES, NEW_NETWORK = 0x10000000, 0x20000000, 0x40000000

READ_ONLY, NO_SETUID, NO_DEVICES, NO_EXEC = 0x1, 0x2, 0x4, 0x8
BIND, RECURSIVE, PRIVATE = 0x1000, 0x4000, 0x40000

_DIE_WITH_PARENT, _NO_DUMP, _NO_NEW_PRIVILEGES = 1, 4, 38
_DETACH = 2
_HERE, _RECURSIVE_PATHS = -100, 0x8000
_MOUNT_SETATTR = 442

_libc = ctypes.CDLL(None, use_errno=True)


def get_cpu_architecture() -> str:
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())


def check_syscall_result(result: int, what: str) -> int:
    """The result of a call, or OSError when it was refused."""
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return result


def syscall(number: int, *arguments: int | bytes | ctypes.Array[ctypes.c_char] | None) -> int:
    plain = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    return check_syscall_result(int(_libc.syscall(ctypes.c_long(number), *plain)), f"system call {number}")


def prctl(option: int, *values: int) -> int:
    padded = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    return check_syscall_result(int(_libc.prctl(ctypes.c_int(option), *padded)), f"prctl {option}")


def unshare(flags: int) -> None:
    check_syscall_result(int(_libc.unshare(ctypes.c_int(flags))), "unshare")


def mount(source: str, target: str, *, kind: str = "", flags: int = 0, options: str = "") -> None:
    texts = (source.encode(), target.encode(), kind.encode() or None)
    done = _libc.mount(*texts, ctypes.c_ulong(flags), options.encode() or None)
    check_syscall_result(int(done), f"mount on {target}")


def add_mount_flags(target: str, flags: int) -> None:
    """Adds read-only and its like to a mount and to what is mounted below it, leaving what it has."""
    attributes = ctypes.create_string_buffer(flags.to_bytes(8, "little") + bytes(24), 32)
    syscall(_MOUNT_SETATTR, _HERE, target.encode(), _RECURSIVE_PATHS, attributes, 32)


def pivot_root(root: str) -> None:
    """Makes `root` the root of the file system and lets go of the former one."""
    os.chdir(root)
    syscall({"x86_64": 155, "aarch64": 41}[get_cpu_architecture()], b".", b".")
    check_syscall_result(int(_libc.umount2(b".", ctypes.c_int(_DETACH))), "leaving the former root")
    os.chdir("/")


def die_with_parent() -> None:
    prctl(_DIE_WITH_PARENT, 9)


def drop_privileges() -> None:
    """No capability is left, none can be gained, and nobody of the same user may look inside."""
    header = ctypes.create_string_buffer((0x20080522).to_bytes(4, "little") + bytes(4), 8)
    check_syscall_result(int(_libc.capset(header, ctypes.create_string_buffer(24))), "dropping capabilities")
    prctl(_NO_NEW_PRIVILEGES, 1)
    prctl(_NO_DUMP, 0)
