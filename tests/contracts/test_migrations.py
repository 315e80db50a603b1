"""A data directory that an earlier release made opens, keeps what it has, and is changed once."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.adapters.sqlite.migrations import FOLDER, apply_sql_migrations
from nexus.adapters.sqlite.tables import SqliteTables
from nexus.adapters.sqlite.writer import Writer
from nexus.composition.backends import Backends
from nexus.composition.stores import make_migrations, migrate_store, open_migrated_tables
from nexus.domain.core.errors import Conflict
from nexus.domain.core.instants import parse_instant, system_clock
from nexus.domain.core.principal import Principal
from nexus.domain.migrations.tables import MIGRATION_RUNS
from nexus.domain.ports.database import Query, TableDriver, Tables, Window
from nexus.domain.ports.rows import Table, Write
from nexus.domain.sessions.model import Message, Reply, TextPart
from nexus.domain.sessions.tables import MESSAGES, REPLIES, REPLY_LEASES, SESSIONS
from nexus.domain.tallies.service import Tallies
from nexus.domain.tallies.tables import TALLIES
from nexus.domain.tasks.execution import Executions
from nexus.domain.tasks.tables import TASK_LEASES
from nexus.settings import parse_environment
from tests.contracts.conftest import dynamodb_tables, sqlite_tables
from tests.fakes.heartbeat import MemoryHeartbeat

FIRST_RELEASE = (Path(__file__).parent / "first_release.sql").read_text()
LOCAL, AFTER = Principal("tnt_local", "usr_local", "You"), parse_instant("2026-12-02T00:00:00.000Z")
SAID, ANSWERED = 'tell "me" \n 税 \x02', 'Sag "ja"\n\x01 税 😀 \\n'


def first_release(path: Path) -> Path:
    connection = sqlite3.connect(path)
    connection.executescript(FIRST_RELEASE)
    connection.close()
    return path


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Tables]:
    writer = Writer(path)
    await writer.open()
    tables = SqliteTables(writer, [SESSIONS, MESSAGES, REPLIES])
    try:
        await tables.open()
        yield Tables(tables, secret=b"s", clock=lambda: 0.0)
        tables.close()
    finally:
        await writer.close()


async def kept(tables: Tables) -> tuple[list[Message], list[Reply]]:
    sessions = [session async for session in tables.each(SESSIONS, "usr_local", index="UserIndex")]
    messages = [message for session in sessions async for message in tables.each(MESSAGES, session.session_id)]
    replies = [
        reply for session in sessions async for reply in tables.each(REPLIES, session.session_id, index="SessionIndex")
    ]
    return messages, replies


async def test_conversations_of_the_first_release_are_kept_to_the_character(tmp_path: Path) -> None:
    async with opened(first_release(tmp_path / "nexus.db")) as tables:
        messages, [over, running] = await kept(tables)
        assert [message.content for message in messages] == [SAID, ANSWERED, "talk"]
        assert (over.status, over.input, over.output) == ("completed", (TextPart(SAID),), (TextPart(ANSWERED),))
        assert (running.status, running.input, running.output) == ("running", (TextPart("talk"),), ())
        assert await tables.get(REPLIES, running.reply_id) == running
        assert (running.asked, running.fence, running.worker_id) == (messages[-1].message_id, 1, running.worker_id)
        found = [row async for row in tables.each(REPLIES, "reply", index="DispatchIndex")]
        assert found == [running], "whoever looks for work finds it"


async def test_it_is_changed_once_and_a_new_directory_not_at_all(tmp_path: Path) -> None:
    path = first_release(tmp_path / "nexus.db")
    seen = list[object]()
    for _ in range(2):
        async with opened(path) as tables:
            seen.append(await kept(tables))
    assert seen[0] == seen[1]
    async with opened(tmp_path / "new.db") as tables:
        assert await kept(tables) == ([], [])
    for made in (path, tmp_path / "new.db"):
        connection = sqlite3.connect(made)
        applied = [name for (name,) in connection.execute("select name from nexus_migrations")]
        connection.close()
        assert applied == sorted(file.stem for file in FOLDER.glob("*.sql"))


def release_before(path: Path) -> Path:
    """As the first release left it, after all that SQL changes and before what Python does."""
    data = path / "data"
    data.mkdir(mode=0o700)
    first_release(data / "nexus.db")
    return data


async def check_rows_are_kept(driver: TableDriver) -> None:
    tables = Tables(driver, secret=b"s", clock=system_clock)
    messages, [_, running] = await kept(tables)
    assert [message.content for message in messages] == [SAID, ANSWERED, "talk"]
    replies = Executions(REPLY_LEASES, tables=tables, clock=lambda: AFTER, heartbeat=MemoryHeartbeat())
    assert await replies.list_due_rows() == [running], "it lies where this release looks for work"
    tallies = Tallies(tables=tables, clock=system_clock)
    total = await tallies.read_total_tally(LOCAL)
    assert (total.messages, total.invocation_ms, total.output_tokens, total.build_seconds) == (3, 9, 12, 9)
    days = await tallies.list_daily_tallies(LOCAL, "2026-11-30", "2026-12-01")
    assert [(day.day, day.projects, day.messages) for day in days] == [("2026-11-30", 1, 0), ("2026-12-01", 0, 3)]
    stored = [row.day async for row in tables.each(TALLIES, LOCAL.tenant_id)]
    assert stored == ["2026-11-30#00", "2026-12-01#00", "now", "total#00"]


def test_this_release_looks_for_work_wherever_the_release_before_put_it() -> None:
    """So that no unfinished row has to move, while processes of both look for it."""
    replies = {"reply", *(f"reply#{number}" for number in range(1, 8))}
    assert replies <= {place for places in REPLY_LEASES.places.values() for place in places}
    builds = {f"{state}#{number}" for state in ("running", "queued") for number in range(8)}
    builds |= {f"held#{number}" for number in range(4)}
    assert builds <= {place for places in TASK_LEASES.places.values() for place in places}


async def test_a_directory_of_the_first_release_is_migrated_at_the_start(tmp_path: Path) -> None:
    settings = parse_environment({"NEXUS_DATA_DIR": str(release_before(tmp_path))})
    async with AsyncExitStack() as stack:
        assert await migrate_store(settings, stack) == ["0003_sharded_counters"]
    for _ in range(2):
        async with AsyncExitStack() as stack:
            await check_rows_are_kept(await open_migrated_tables(Backends(settings, stack)))


async def test_rows_of_the_first_release_in_dynamodb_are_migrated(tmp_path: Path, dynamodb_url: str) -> None:
    stored: list[Table[Any]] = [SESSIONS, MESSAGES, REPLIES, TALLIES, MIGRATION_RUNS]
    async with sqlite_tables(first_release(tmp_path / "nexus.db"), stored) as source, AsyncExitStack() as stack:
        client, prefix = await stack.enter_async_context(dynamodb_tables(dynamodb_url, stored))
        driver = DynamoTables(client, prefix=prefix)
        for table in stored:
            items, _ = await source.query_rows(Query(table, None, None, Window(limit=100)))
            for item in items:
                await driver.write_rows([Write("put", table, tuple(item[field] for field in table.key), item)])
        assert await make_migrations(driver).apply_pending_migrations() == ["0003_sharded_counters"]
        await check_rows_are_kept(driver)


async def test_logs_of_replies_that_are_gone_are_deleted(tmp_path: Path) -> None:
    connection = sqlite3.connect(first_release(tmp_path / "nexus.db"))
    connection.execute(
        "create table nexus_log (topic text, first integer, body blob, primary key (topic, first)) without rowid"
    )
    [(there,), *_] = connection.execute("select reply_id from nexus_replies").fetchall()
    kept_topics = [f"reply:{there}", "something else"]
    for topic in ("reply:msg_gone", *kept_topics):
        connection.executemany("insert into nexus_log values (?, ?, ?)", [(topic, 1, b"{}"), (topic, 2, b"{}")])
    connection.commit()
    connection.close()
    async with opened(tmp_path / "nexus.db"):
        pass
    connection = sqlite3.connect(tmp_path / "nexus.db")
    topics = connection.execute("select topic, count(*) from nexus_log group by topic").fetchall()
    connection.close()
    assert topics == [(topic, 2) for topic in kept_topics]


async def test_what_breaks_off_in_a_migration_leaves_all_as_it_was(tmp_path: Path) -> None:
    path, broken = first_release(tmp_path / "nexus.db"), tmp_path / "migrations"
    broken.mkdir()
    [first, *_] = sorted(FOLDER.glob("*.sql"))
    (broken / "0001_first.sql").write_text(first.read_text())
    (broken / "0002_second.sql").write_text("delete from nexus_messages;\nselect no_such_function();\n")
    writer = Writer(path)
    await writer.open()
    with pytest.raises(Exception, match="no_such_function"):
        await writer.run_in_transaction(lambda connection: apply_sql_migrations(connection, broken))
    await writer.close()
    connection = sqlite3.connect(path)
    assert connection.execute("select count(*) from nexus_messages").fetchone() == (3,)
    assert connection.execute("select 1 from sqlite_master where name = 'nexus_migrations'").fetchone() is None
    connection.close()
    async with opened(path) as tables:
        assert len((await kept(tables))[1]) == 2


async def test_a_directory_that_a_later_release_has_changed_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "nexus.db"
    async with opened(path):
        pass
    connection = sqlite3.connect(path)
    connection.execute("insert into nexus_migrations (name) values ('9999_later')")
    connection.commit()
    connection.close()
    with pytest.raises(Conflict, match="9999_later"):
        async with opened(path):
            pass
