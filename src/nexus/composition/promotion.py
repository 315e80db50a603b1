"""A whole store moved to another kind of store: rows and files, from SQLite to DynamoDB or back."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct, structs

from nexus.composition.backends import Backends
from nexus.composition.stores import make_migrations, open_table_driver
from nexus.composition.tables import TABLES
from nexus.domain.core.errors import Conflict, InvalidInput
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.migrations.promotions import (
    Promotion,
    TableComparison,
    check_no_promotion,
    has_rows,
    make_store_tables,
)
from nexus.domain.ports.database import BulkTableDriver
from nexus.settings import Settings

if TYPE_CHECKING:
    from nexus.adapters.directory.trees import TreeSummary

FOLDER = "projects"
"""What is copied of the root of the files. Large values beside rows go with their rows."""

StoreKind = Literal["sqlite", "dynamodb"]


class PromotionRequest(Struct, frozen=True):
    """From where to where. Files are copied where the roots are not the same folder."""

    source: StoreKind
    target: StoreKind
    files_from: Path
    files_to: Path

    @property
    def has_two_roots(self) -> bool:
        return self.files_from.resolve() != self.files_to.resolve()


class FilesComparison(Struct, frozen=True):
    source: "TreeSummary"
    target: "TreeSummary"

    @property
    def is_equal(self) -> bool:
        return self.source == self.target


class StoreComparison(Struct, frozen=True):
    """`files`: None where both stores have the same root."""

    tables: Sequence[TableComparison]
    files: FilesComparison | None = None

    @property
    def is_equal(self) -> bool:
        return all(one.is_equal for one in (*self.tables, self.files) if one)

    def list_differing(self) -> list[str]:
        tables = [table.table for table in self.tables if not table.is_equal]
        return [*tables, "files"] if self.files and not self.files.is_equal else tables


class StorePromotion:
    """Both stores are open, and held where they are a directory. `report` hears what goes on: of what, and how many."""

    def __init__(self, request: PromotionRequest, rows: Promotion, report: Callable[[str, int], None]) -> None:
        self._request, self._rows, self._report = request, rows, report

    async def copy_store(self) -> bool:
        """Whether it went on with one that was killed. Conflict when there is something in the target already."""
        if not (is_resumed := await self._rows.has_started()):
            _check_target_files(self._request)
            await self._rows.start()
        if self._request.has_two_roots:
            hit_failpoint("before:promotion.files")
            await asyncio.to_thread(self._copy_files)
            hit_failpoint("after:promotion.files")
        await self._rows.copy_rows()
        return is_resumed

    async def compare_stores(self) -> StoreComparison:
        hit_failpoint("before:promotion.compare")
        tables = await self._rows.compare_stores()
        files = await asyncio.to_thread(self._compare_files) if self._request.has_two_roots else None
        hit_failpoint("after:promotion.compare")
        return StoreComparison(tables, files)

    async def remove_mark(self) -> None:
        """Of the target, once it is equal: servers may start there."""
        await self._rows.remove_mark()

    def _copy_files(self) -> None:
        from nexus.adapters.directory.trees import copy_tree

        source, target = self._request.files_from / FOLDER, self._request.files_to / FOLDER
        copy_tree(source, target, lambda files: self._report("files", files))

    def _compare_files(self) -> FilesComparison:
        from nexus.adapters.directory.trees import summarize_tree

        roots = (self._request.files_from, self._request.files_to)
        return FilesComparison(*(summarize_tree(root / FOLDER) for root in roots))


async def open_promotion(
    settings: Settings, request: PromotionRequest, stack: AsyncExitStack, report: Callable[[str, int], None]
) -> StorePromotion:
    """Conflict when a server holds the data directory of SQLite; InvalidInput when there is nothing to copy, or a store is of another release."""
    from nexus.adapters.sqlite.lock import DirectoryLock

    data = settings.data_directory
    if request.source == "sqlite" and not (data / "nexus.db").is_file():
        raise InvalidInput(f"There is no nexus.db in {data}: name the data directory of the source with --data-dir.")
    stack.enter_context(DirectoryLock(data))
    source = await _open_store(settings, request.source, request.files_from, stack)
    target = await _open_store(settings, request.target, request.files_to, stack)
    await _check_source(request, source)
    await make_migrations(target).list_pending_migrations()  # Conflict when a later release was there
    name = f"from {_describe_store(settings, request.source, request.files_from)}"
    name += f" to {_describe_store(settings, request.target, request.files_to)}"
    return StorePromotion(request, Promotion(source, target, TABLES, name=name, report_rows=report), report)


async def _open_store(settings: Settings, kind: StoreKind, files: Path, stack: AsyncExitStack) -> BulkTableDriver:
    own = structs.replace(
        settings,
        tables=structs.replace(settings.tables, backend=kind),
        files=structs.replace(settings.files, root=str(files)),
    )
    return await open_table_driver(Backends(own, stack), are_checked=True)


async def _check_source(request: PromotionRequest, source: BulkTableDriver) -> None:
    await check_no_promotion(source)
    if pending := await make_migrations(source).list_pending_migrations():
        lacking = ", ".join(migration.title for migration in pending)
        raise InvalidInput(
            f"An earlier release wrote the rows of the source: {lacking} is to come. Run `nexus migrate`."
        )
    [projects] = [table for table in TABLES if table.name == "projects"]
    if await has_rows(make_store_tables(source), projects) and not (request.files_from / FOLDER).is_dir():
        raise InvalidInput(
            f"The files of the source are not in {request.files_from}: name their root with --files-from."
        )


def _check_target_files(request: PromotionRequest) -> None:
    """Conflict where files of somebody else lie in the target."""
    from nexus.adapters.directory.trees import is_tree_empty

    if request.has_two_roots and not is_tree_empty(request.files_to / FOLDER):
        raise Conflict(f"The target is not empty: there are files in {request.files_to / FOLDER}.")


def _describe_store(settings: Settings, kind: StoreKind, files: Path) -> str:
    wanted = settings.tables
    place = wanted.endpoint_url or wanted.region
    store = f"SQLite in {settings.data_directory}" if kind == "sqlite" else f"DynamoDB {wanted.prefix}… at {place}"
    return f"{store} with files in {files}"
