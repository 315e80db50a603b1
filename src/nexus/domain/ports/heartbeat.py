"""The sign of life of the work that a process has in hand, and what it hears by that."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import Key

OnControl = Callable[[Any], None]
"""Called in the process' own loop with what is wanted from now on; with None when the lease is lost."""


class Lease(NamedTuple):
    """What a worker has in hand: the key of a row, and the fence under which it has it."""

    key: Key
    fence: int


class Leases(Protocol):
    """The leases of one table, wherever they are renewed."""

    @property
    def table_name(self) -> str:
        """Of the table."""
        ...

    def copy_for_tables(self, tables: Tables) -> "Leases":
        """The same over another connection, for a thread of its own."""
        ...

    async def renew_leases(self, leases: Sequence[Lease]) -> Sequence[str | None]:
        """What is wanted of each; None where it is lost."""
        ...


class Heartbeat(Protocol):
    """Renews what it holds about once a second, though the process' own loop be busy; no more once that loop hangs, so that a hung process
    is replaced and a busy one is not."""

    def start_renewing_lease(self, leases: Leases, lease: Lease, on_control: OnControl) -> None:
        """From now on, in place of an older lease of that key. `on_control`: each time that something else is wanted. What is lost is dropped."""
        ...

    def stop_renewing_lease(self, leases: Leases, lease: Lease) -> None:
        """No more. Quiet when that lease is not held."""
        ...
