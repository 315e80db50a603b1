"""The tables opened, and brought into the shape that this release reads: SQLite at its start, what processes share by `nexus migrate`."""

import os
import secrets
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from nexus.composition.backends import Backends, describe_missing_parts, open_dynamodb
from nexus.composition.tables import TABLES
from nexus.domain.core.errors import InvalidInput
from nexus.domain.migrations.model import Migration
from nexus.domain.migrations.promotions import check_no_promotion
from nexus.domain.migrations.service import Migrations
from nexus.domain.ports.database import BulkTableDriver, TableDriver
from nexus.domain.tallies.shards import move_unsharded_tallies
from nexus.settings import Settings

if TYPE_CHECKING:
    from nexus.adapters.directory.values import SweptValues

MIGRATIONS: Sequence[Migration] = (Migration(3, "sharded_counters", move_unsharded_tallies),)
"""In order. The numbers before are those of files in `migrations/`, which change SQLite alone; each of these has a file there, too, so that
an earlier release refuses the database."""


def make_migrations(driver: TableDriver) -> Migrations:
    """For this process."""
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    return Migrations(driver, MIGRATIONS, worker_id=worker_id)


async def open_table_driver(backends: Backends, *, are_checked: bool = False) -> BulkTableDriver:
    """`are_checked`: InvalidInput names what is missing in DynamoDB, which only `nexus init-resources` makes."""
    wanted, stack = backends.settings.tables, backends.stack
    if wanted.backend == "sqlite":
        from nexus.adapters.sqlite.tables import SqliteTables

        tables = SqliteTables(await backends.open_sqlite_writer(), TABLES)
        await tables.open()
        stack.callback(tables.close)
        return tables
    from nexus.adapters.directory.values import DirectoryValues
    from nexus.adapters.dynamodb.tables import DynamoTables

    client = await open_dynamodb(backends.settings, stack)
    if are_checked:
        await _check_tables(client, wanted.prefix)
    return DynamoTables(client, prefix=wanted.prefix, values=DirectoryValues(backends.settings.files_root))


async def open_migrated_tables(backends: Backends) -> TableDriver:
    """SQLite, which this process has for itself, is migrated here. What is shared is not: InvalidInput when an earlier release wrote there.
    Conflict when a later one did, or rows are still to come from another store."""
    driver = await open_table_driver(backends, are_checked=True)
    await check_no_promotion(driver)
    migrations = make_migrations(driver)
    if backends.settings.tables.backend == "sqlite":
        await migrations.apply_pending_migrations(alone=True)
    elif pending := await migrations.list_pending_migrations():
        lacking = ", ".join(migration.title for migration in pending)
        raise InvalidInput(f"An earlier release wrote the rows in DynamoDB: {lacking} is to come. Run `nexus migrate`.")
    return driver


async def migrate_store(settings: Settings, stack: AsyncExitStack) -> Sequence[str]:
    """The titles of what was applied. Conflict when another process holds the data directory of SQLite."""
    if is_alone := settings.tables.backend == "sqlite":
        from nexus.adapters.sqlite.lock import DirectoryLock

        stack.enter_context(DirectoryLock(settings.data_directory))
    driver = await open_table_driver(Backends(settings, stack), are_checked=True)
    await check_no_promotion(driver)
    return await make_migrations(driver).apply_pending_migrations(alone=is_alone)


async def sweep_unused_values(settings: Settings, stack: AsyncExitStack, *, grace: float) -> "SweptValues":
    """Reads every row of every table in DynamoDB once: what was listed before and none of them refers to is unused."""
    from nexus.adapters.directory.values import DirectoryValues
    from nexus.adapters.dynamodb.spilling import iterate_spilled_digests

    values, prefix = DirectoryValues(settings.files_root, grace=grace), settings.tables.prefix
    client = await open_dynamodb(settings, stack)
    await _check_tables(client, prefix)
    listed = await values.list_values()
    used = {digest for table in TABLES async for digest in iterate_spilled_digests(client, table, prefix=prefix)}
    return await values.delete_unused_values(listed, used)


async def _check_tables(client: Any, prefix: str) -> None:
    from nexus.adapters.dynamodb.provision import find_missing_parts

    if missing := await find_missing_parts(client, TABLES, prefix=prefix):
        raise InvalidInput(describe_missing_parts("DynamoDB", missing))
