"""Rows in SQLite: a table for each declared one, the row as JSON, a generated column for each field of an index."""

# ruff: noqa: S608 - statements are built from declarations, values are always bound

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from nexus.adapters.sqlite.migrations import apply_sql_migrations
from nexus.adapters.sqlite.writer import Writer, translate_sqlite_error
from nexus.domain.ports.database import Query, Refused
from nexus.domain.ports.rows import Item, Key, Place, Table, When, Write, apply_write, is_condition_met

_NEW = When(exists=False)


class SqliteTables:
    """Point reads and pages on the loop's own connection (a thread would cost several times the read), writes through the writer."""

    def __init__(self, writer: Writer, tables: Sequence[Table[Any]]) -> None:
        self._writer, self._tables = writer, tables
        self._statements = {table.name: _Statements.make_table_statements(table) for table in tables}

    async def open(self) -> None:
        """Migrates what an earlier release made, and makes what is declared and not yet there; an index added later has the old rows
        too. Conflict when a later release was here."""
        await self._writer.run_in_transaction(apply_sql_migrations)
        for table in self._tables:
            await self._writer.run_in_transaction(partial(_create_table_and_indexes, table))
        self._reader = self._writer.open_read_connection()

    def close(self) -> None:
        self._reader.close()

    async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
        try:
            return [self._statements[table.name].read_row(self._reader, key) for table, key in places]
        except sqlite3.Error as error:
            raise translate_sqlite_error(error) from error

    async def query_rows(self, query: Query[Any]) -> tuple[list[Item], bool]:
        sql, values = _make_select_statement(query)
        try:
            rows = self._reader.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise translate_sqlite_error(error) from error
        limit = query.window.limit
        return [msgspec.json.decode(row) for (row,) in rows[:limit]], len(rows) > limit

    async def write_rows(self, writes: Sequence[Write]) -> None:
        await self._writer.run_in_transaction(partial(self._apply_writes, writes))

    async def put_rows(self, table: Table[Any], items: Sequence[Item]) -> None:
        await self._writer.run_in_transaction(partial(self._statements[table.name].upsert_items, table, items))

    def _apply_writes(self, writes: Sequence[Write], connection: sqlite3.Connection) -> None:
        for at, write in enumerate(writes):
            statements = self._statements[write.table.name]
            if write.verb == "put" and write.when == _NEW:
                if not statements.insert_row(connection, write):
                    raise Refused(at, statements.read_row(connection, write.key))
                continue
            row = statements.read_row(connection, write.key)
            if not is_condition_met(write, row):
                raise Refused(at, row)
            statements.upsert_or_delete_row(connection, write, apply_write(write, row))


class _Statements(Struct, frozen=True):
    """The statements of one table."""

    reading: str
    inserting: str
    keeping: str
    deleting: str
    clearing: str

    @classmethod
    def make_table_statements(cls, table: Table[Any]) -> "_Statements":
        name, key = _quote_table_name(table), _join_formatted_fields(table.key, '"{}" = ?', " and ")
        columns = (*table.key, "row")
        insert = f"insert into {name} ({_join_formatted_fields(columns)}) values ({_join_formatted_fields(columns, '?')}) on conflict do"
        past = f'select rowid from {name} where "{table.expires}" < ? limit 2'
        return cls(
            reading=f"select row from {name} where {key}",
            inserting=f"{insert} nothing",
            keeping=f"{insert} update set row = excluded.row",
            deleting=f"delete from {name} where {key}",
            clearing=f"delete from {name} where rowid in ({past})" if table.expires else "",
        )

    def read_row(self, connection: sqlite3.Connection, key: Key) -> Item | None:
        found = connection.execute(self.reading, key).fetchone()
        return msgspec.json.decode(found[0]) if found else None

    def insert_row(self, connection: sqlite3.Connection, write: Write) -> bool:
        """Whether there was no row of that key."""
        row = msgspec.json.encode(write.fields).decode()
        return connection.execute(self.inserting, (*write.key, row)).rowcount == 1

    def upsert_items(self, table: Table[Any], items: Sequence[Item], connection: sqlite3.Connection) -> None:
        keyed = ((*(item[field] for field in table.key), msgspec.json.encode(item).decode()) for item in items)
        connection.executemany(self.keeping, keyed)

    def upsert_or_delete_row(self, connection: sqlite3.Connection, write: Write, row: Item | None) -> None:
        if row is None:
            connection.execute(self.deleting, write.key)
        elif write.verb != "check":
            connection.execute(self.keeping, (*write.key, msgspec.json.encode(row).decode()))
        if write.verb == "put" and self.clearing:  # each new row clears two that are past their time
            connection.execute(self.clearing, tuple(write.when.below.values()))


def _quote_table_name(table: Table[Any]) -> str:
    return f'"nexus_{table.name}"'


def _join_formatted_fields(fields: Sequence[str], form: str = '"{}"', between: str = ", ") -> str:
    return between.join(form.format(field) for field in fields)


def _create_table_and_indexes(table: Table[Any], connection: sqlite3.Connection) -> None:
    name, key = _quote_table_name(table), _join_formatted_fields(table.key)
    connection.execute(f"create table if not exists {name} ({key}, row text not null, primary key ({key}))")
    orders: dict[str, tuple[str, ...]] = {index.name: (index.partition, index.sort) for index in table.indexes}
    if table.expires:
        orders["expiry"] = (table.expires,)
    present = {column[1] for column in connection.execute(f"pragma table_xinfo({name})")}
    for field in sorted({field for fields in orders.values() for field in fields} - present):
        made = f"""generated always as (row ->> '$."{field}"') virtual"""
        connection.execute(f'alter table {name} add column "{field}" {made}')
    for order, fields in orders.items():
        _create_or_replace_index(connection, f'"nexus_{table.name}_{order}"', _make_index_sql(name, fields, key))


def _make_index_sql(name: str, fields: Sequence[str], key: str) -> str:
    sparse = _join_formatted_fields(fields, '"{}" is not null', " and ")
    return f"on {name} ({_join_formatted_fields(fields)}, {key}) where {sparse}"


def _create_or_replace_index(connection: sqlite3.Connection, index: str, rest: str) -> None:
    """Makes an index, again where its declaration has changed."""
    made = f"CREATE INDEX {index} {rest}"
    there = connection.execute("select sql from sqlite_master where type = 'index' and name = ?", (index.strip('"'),))
    found = there.fetchone()
    if found and found[0] != made:
        connection.execute(f"drop index {index}")
    if not found or found[0] != made:
        connection.execute(made)


def _make_select_statement(query: Query[Any]) -> tuple[str, list[Any]]:
    window, (partition, sort) = query.window, query.fields
    bounds = {f'"{partition}" = ?': query.partition, f'"{sort}" >= ?': window.since, f'"{sort}" <= ?': window.until}
    bounds = {clause: value for clause, value in bounds.items() if value is not None}
    places = slice(1, None) if query.partition is None else slice(None) if query.index else slice(1)
    order, after = (sort, *query.table.key)[places], (query.after or ())[places]  # in the order of an index, no more
    where = " and ".join([*bounds, f'"{sort}" is not null'])
    if after:
        where += f" and ({_join_formatted_fields(order)}) {'<' if window.newest_first else '>'} ({_join_formatted_fields(order, '?')})"
    direction = _join_formatted_fields(order, '"{}" desc' if window.newest_first else '"{}"')
    sql = f"select row from {_quote_table_name(query.table)} where {where} order by {direction} limit ?"
    return sql, [*bounds.values(), *after, window.limit + 1]
