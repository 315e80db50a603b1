"""What reading a text costs: CPU and memory, of one text and of the doubled one."""

import contextlib
import gc
import signal
import time
import tracemalloc

from msgspec import Struct

from tests.fuzz.readers import Reader

MOST_RATIO = 3.0
FLOOR = 0.01
"""Seconds of CPU below which nothing is compared: clocks and caches count for more than the text."""

CHEAP = 0.25e-6
"""Seconds a character: what costs less on the doubled text is no matter, whatever the ratio."""

BYTES_A_CHARACTER, BYTES_BESIDE = 400, 30_000_000
REPEATS = 5
LONGEST = 15.0
"""Seconds of CPU after which a reading is stopped: it is a finding whatever half of it costs."""


class TooSlow(BaseException):
    """A reading is stopped."""


class Broken(Exception):
    """A reader raised what it may not."""


class Finding(Struct, frozen=True):
    """A reader for which a doubled text costs more than three times as much. Seconds of CPU, characters."""

    reader: str
    piece: str
    characters: int
    single: float
    double: float

    @property
    def ratio(self) -> float:
        return self.double / max(self.single, FLOOR)


def text_of(reader: Reader, frame: str, piece: str, characters: int) -> str:
    """A text of so many characters at most: whole pieces again and again, in the frame."""
    before, _, behind = frame.partition("…")
    room = max(characters - len(before) - len(behind), 1)
    return before + piece * max(room // len(piece), 1) + behind


def read_once(reader: Reader, text: str) -> float:
    """The CPU seconds of one reading. What the reader may refuse it may refuse."""
    gc.collect(0)
    gc.disable()
    signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    began = time.process_time()
    try:
        with contextlib.suppress(*reader.refusals, TooSlow):
            reader.read(text)
    except Exception as error:
        raise Broken(f"{type(error).__name__}: {str(error)[:100]}") from None
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        gc.enable()
    return time.process_time() - began


def _stop(*_: object) -> None:
    raise TooSlow


def compare(reader: Reader, frame: str, piece: str, characters: int) -> Finding | None:
    """Reads a text of half so many characters and one of all; a finding when that costs more than it may."""
    half, whole = (text_of(reader, frame, piece, size) for size in (characters // 2, characters))
    double = read_once(reader, whole)
    if double <= max(FLOOR, CHEAP * characters):
        return None
    single = 0.0
    if double >= LONGEST:
        return Finding(reader.name, f"{frame[:30]!r} {piece[:20]!r}", characters, 0.0, double)
    for _ in range(REPEATS):
        single = max(single, FLOOR, min(read_once(reader, half) for _ in range(3)))
        if double <= MOST_RATIO * single:
            return None
        double = min(double, read_once(reader, whole))
    return Finding(reader.name, f"{frame[:30]!r} {piece[:20]!r}", characters, single, double)


def peak_bytes(reader: Reader, frame: str, piece: str, characters: int) -> int:
    """The most memory that a reading took at once, beside the text."""
    text = text_of(reader, frame, piece, characters)
    tracemalloc.start()
    try:
        read_once(reader, text)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
