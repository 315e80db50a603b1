"""Runs a Python command as on a machine whose kernel gives out no namespaces: `python -m tests.without_namespaces -m pytest tests/contracts`.

A filter of system calls refuses them to this process and to all that it starts, whatever the machine itself would allow."""

import ctypes
import os
import struct
import sys

from nexus.adapters.confined.inside import kernel

_UNSHARE, _SETNS = {"x86_64": (272, 308), "aarch64": (97, 268)}[kernel.get_cpu_architecture()]
_LOAD_NUMBER, _EQUAL, _RETURN = 0x20, 0x15, 0x06
_REFUSE, _ALLOW = 0x00050000 | 1, 0x7FFF0000


def deny() -> None:
    """From here on, for good: `unshare` and `setns` answer EPERM."""
    steps = [
        (_LOAD_NUMBER, 0, 0, 0),
        (_EQUAL, 1, 0, _UNSHARE),
        (_EQUAL, 0, 1, _SETNS),
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    listing = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in steps))
    head = ctypes.create_string_buffer(struct.pack("@HP", len(steps), ctypes.addressof(listing)))
    kernel.prctl(38, 1)  # no new privileges: the kernel asks for it
    kernel.prctl(22, 2, ctypes.addressof(head))


if __name__ == "__main__":
    deny()
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
