"""Brings a database that an earlier release made into the present shape: each file of `migrations/` once, in order."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import structlog

import nexus
from nexus.domain.core.errors import Conflict

_PACKAGE = Path(nexus.__file__).parent
_INSTALLED, _CHECKOUT = _PACKAGE / "migrations", _PACKAGE.parents[1] / "migrations"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT

logger = structlog.get_logger()


def apply_sql_migrations(connection: sqlite3.Connection, folder: Path = FOLDER) -> None:
    """In the transaction of the caller. Conflict when a later release was here; a database without rows needs nothing."""
    connection.execute(
        "create table if not exists nexus_migrations (name text primary key, applied_at text default current_timestamp)"
    )
    files = {path.stem: path for path in sorted(folder.glob("*.sql"))}
    applied = {name for (name,) in connection.execute("select name from nexus_migrations")}
    if unknown := sorted(applied - files.keys()):
        raise Conflict(
            f"A later release of nexus has changed this data directory ({', '.join(unknown)}): use that one."
        )
    is_new = not connection.execute("select 1 from sqlite_master where name = 'nexus_sessions'").fetchone()
    for name, path in files.items():
        if name in applied:
            continue
        if not is_new:
            for statement in _split_sql_statements(path.read_text()):
                connection.execute(statement)
            logger.info("database.migrated", migration=name)
        connection.execute("insert into nexus_migrations (name) values (?)", (name,))


def _split_sql_statements(script: str) -> Iterator[str]:
    """One by one: `executescript` would commit."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
