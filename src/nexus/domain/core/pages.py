"""Lists, page by page."""

from typing import Generic, TypeVar

from msgspec import Struct

from nexus.domain.core.errors import InvalidInput

T = TypeVar("T")
PAGE_LIMIT = 100


class Window(Struct, frozen=True):
    """Which part of a list is wanted; `since` and `until` bound its sort field, both inclusive."""

    limit: int = 20
    cursor: str | None = None
    newest_first: bool = False
    since: str | int | None = None
    until: str | int | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= PAGE_LIMIT:
            raise InvalidInput(f"A page has from 1 to {PAGE_LIMIT} entries", limit=self.limit)


class Page(Struct, Generic[T], frozen=True):
    """May be short, even empty; only `cursor is None` is the end."""

    items: list[T]
    cursor: str | None = None
