"""Changes of stored rows, and how far each of them has come in a store."""

from collections.abc import Awaitable, Callable

from msgspec import Struct

from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import Entity

SCOPE = "rows"
PROMOTION = "promotion"
"""The scope of what is recorded of a promotion into this store."""


class Migration(Struct, frozen=True):
    """A change of rows from one release to the next, page by page. `migrate_page` answers the cursor of the next page, or None at the end;
    it may be called again for a page that it has changed already, and while rows are read and written."""

    number: int
    name: str
    migrate_page: Callable[[Tables, Window], Awaitable[str | None]]

    @property
    def title(self) -> str:
        return make_migration_title(self.number, self.name)


class MigrationRun(Entity, frozen=True, kw_only=True):
    """A migration that was begun in this store. Until it is `applied_at`, `worker_id` has it, shows that it lives by every write, and goes on
    at `cursor`."""

    scope: str = SCOPE
    number: int
    name: str
    cursor: str | None = None
    worker_id: str | None = None
    started_at: str
    applied_at: str | None = None

    @property
    def title(self) -> str:
        return make_migration_title(self.number, self.name)


def make_migration_title(number: int, name: str) -> str:
    """As its file would be called: `0003_sharded_counters`."""
    return f"{number:04}_{name}"
