"""Prefixed ULIDs (`ses_01J…`), monotonic within a process."""

import hashlib
import re
import secrets
import threading
from collections.abc import Callable

from nexus.domain.core.instants import Clock, system_clock

NewId = Callable[[str], str]
"""`new_id("ses")` makes `ses_` and 26 characters of Crockford base 32, greater than every id made before it."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_RANDOM_BITS = 80
_FORM = re.compile(rf"[a-z]{{3}}_[{_ALPHABET}]{{26}}")


def make_ulid_source(clock: Clock = system_clock) -> NewId:
    """A source of ids: 48 bits of milliseconds, then 80 random ones, counted up within a millisecond or when time steps back."""
    lock, last = threading.Lock(), 0

    def new_id(prefix: str) -> str:
        nonlocal last
        with lock:
            fresh = int(clock() * 1000) << _RANDOM_BITS | secrets.randbits(_RANDOM_BITS)
            last = fresh if fresh >> _RANDOM_BITS > last >> _RANDOM_BITS else last + 1
            return f"{prefix}_{_encode_number(last)}"

    return new_id


def make_id_after(earlier: str) -> str:
    """The next id that sorts behind `earlier`: for orders that must hold across processes."""
    prefix, _, body = earlier.partition("_")
    return f"{prefix}_{_encode_number(_decode_number(body) + 1)}"


def derive_id(prefix: str, *parts: str) -> str:
    """The same id for the same parts, for what must not be made twice."""
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"{prefix}_{_encode_number(int.from_bytes(digest[:16], 'big'))}"


def is_valid_id(text: str, prefix: str) -> bool:
    return bool(_FORM.fullmatch(text)) and text.startswith(f"{prefix}_")


def _encode_number(number: int) -> str:
    return "".join([_PAIRS[number >> shift & 1023] for shift in range(120, -1, -10)])


def _decode_number(body: str) -> int:
    number = 0
    for character in body:
        number = number << 5 | _ALPHABET.index(character)
    return number
