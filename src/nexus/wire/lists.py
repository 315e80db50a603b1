"""A page of a list."""

from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Listed(Struct, Generic[T], frozen=True, kw_only=True):
    """May be short, even empty: only `next_cursor: null` is the end."""

    items: list[T]
    next_cursor: str | None = None
