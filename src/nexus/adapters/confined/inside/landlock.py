"""Landlock: an allow-list of directories, no TCP, and no signal or abstract socket beyond the process's own domain."""
# ruff: noqa: PTH112 (importing pathlib would cost every call some milliseconds)

import ctypes
import os
import struct
from collections.abc import Iterable

from nexus.adapters.confined.inside import kernel

_CREATE, _ADD_RULE, _RESTRICT = 444, 445, 446
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIRECTORY = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_CHANGE = (1 << 4) | (1 << 5) | (1 << 7) | (1 << 8) | (1 << 12)  # remove, make directories, files and symbolic links
_MAKE_SPECIAL = (1 << 6) | (1 << 9) | (1 << 10) | (1 << 11)
_REFER, _TRUNCATE, _DEVICE_CONTROL = 1 << 13, 1 << 14, 1 << 15
_TCP, _SIGNALS_AND_ABSTRACT_SOCKETS = 0b11, 0b11


def find_landlock_version() -> int:
    """0 where the kernel has none."""
    try:
        return kernel.syscall(_CREATE, None, 0, 1)
    except OSError:
        return 0


def restrict_file_access(read: Iterable[str], write: Iterable[str]) -> None:
    """For this process, for good. Paths that are not there are left out."""
    abi = find_landlock_version()
    ruleset = _create_ruleset(abi)
    handled = _make_rights_mask(abi)
    for path in read:
        _allow_path(ruleset, path, _READ_FILE | _READ_DIRECTORY)
    for path in write:
        _allow_path(ruleset, path, handled & ~(_EXECUTE | _MAKE_SPECIAL))
    kernel.syscall(_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _make_rights_mask(abi: int) -> int:
    rights = _EXECUTE | _WRITE_FILE | _READ_FILE | _READ_DIRECTORY | _CHANGE | _MAKE_SPECIAL
    newer = ((2, _REFER), (3, _TRUNCATE), (5, _DEVICE_CONTROL))
    return rights | sum(right for since, right in newer if abi >= since)


def _create_ruleset(abi: int) -> int:
    fields = [_make_rights_mask(abi)]
    fields += [_TCP] if abi >= 4 else []
    fields += [_SIGNALS_AND_ABSTRACT_SOCKETS] if abi >= 6 else []
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    return kernel.syscall(_CREATE, ctypes.create_string_buffer(attributes, len(attributes)), len(attributes), 0)


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _DEVICE_CONTROL
        rule = struct.pack("=Qi", rights, handle)
        kernel.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
    finally:
        os.close(handle)
