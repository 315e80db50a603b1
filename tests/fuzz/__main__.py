"""Every reader with every piece, doubled from 10 000 characters up to its limit: `python -m tests.fuzz [--only WORD] [--few] [--light]`."""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

from tests.fuzz.measure import BYTES_A_CHARACTER, BYTES_BESIDE, Broken, compare, peak_bytes, read_once, text_of
from tests.fuzz.readers import FAST, GENERAL, READERS, Reader

LEAST = 10_000
MOST_FOUND = 4
WEIGHED = 50_000
"""Characters of the text for which memory is measured."""


def sizes(most: int) -> Iterator[int]:
    """Of doubled texts: 20 000 characters, and so on up to the limit, which is always tried."""
    size = 2 * LEAST
    while size < most:
        yield size
        size *= 2
    yield most


def examine(reader: Reader, pieces: Sequence[str], *, heavy: bool) -> tuple[list[str], int, float]:
    """What is wrong with a reader, how many texts it was given, and the most seconds that one took."""
    found, tried, longest = list[str](), 0, 0.0
    for frame in reader.frames:
        for piece in (*pieces, *reader.pieces):
            for size in sizes(reader.most) if heavy else (min(reader.most, 2 * LEAST),):
                tried += 2
                try:
                    wrong = compare(reader, frame, piece, size)
                except Broken as broken:
                    found.append(f"{frame!r} {piece!r}: {size} characters: {broken}")
                    break
                if wrong is not None:
                    found.append(
                        f"{wrong.piece}: {wrong.characters} characters {wrong.double:.2f} s, half of them {wrong.single:.2f} s: x {wrong.ratio:.1f}"
                    )
                    if len(found) >= MOST_FOUND:
                        return found, tried, longest
                    break
            else:
                if heavy:
                    longest = max(longest, read_once(reader, text_of(reader, frame, piece, reader.most)))
                    found += weigh(reader, frame, piece)
    return found, tried, longest


def weigh(reader: Reader, frame: str, piece: str) -> list[str]:
    size = min(reader.most, WEIGHED)
    peak = peak_bytes(reader, frame, piece, size)
    too_much = peak > BYTES_BESIDE + BYTES_A_CHARACTER * size
    return [f"{frame!r} {piece!r}: {peak / 1e6:.0f} MB for {size} characters"] if too_much else []


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.fuzz")
    options.add_argument("--only", default="", help="readers whose name holds this")
    options.add_argument("--light", action="store_true", help="the shortest texts only")
    options.add_argument("--few", action="store_true", help="fewer of the pieces that are tried on all")
    asked = options.parse_args()
    failed, total, began = 0, 0, time.monotonic()
    chosen = [reader for reader in READERS if asked.only in reader.name]
    for reader in chosen:
        found, tried, longest = examine(reader, FAST if asked.few else GENERAL, heavy=not asked.light)
        total, failed = total + tried, failed + bool(found)
        sys.stdout.write(
            f"{'WRONG' if found else 'ok   '} {reader.name}: {tried} texts up to {reader.most}, at most {longest:.2f} s\n"
        )
        for line in found[:8]:
            sys.stdout.write(f"        {line}\n")
        sys.stdout.flush()
    sys.stdout.write(
        f"{len(chosen)} readers, {total} texts, {failed} readers wrong, {time.monotonic() - began:.0f} s\n"
    )
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
