"""Many things, some at a time."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

AT_ONCE = 50
"""How many calls of a store are under way together."""


def split_batches(items: Sequence[T], size: int = AT_ONCE) -> Iterator[Sequence[T]]:
    """In their order, at most `size` together."""
    return (items[first : first + size] for first in range(0, len(items), size))
