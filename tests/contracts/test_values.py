"""Values beside their rows: shared, checked, and deleted once no row has referred to them for some time."""

import asyncio
import hashlib
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from nexus.adapters.directory.values import GRACE_SECONDS, DirectoryValues, RecentValues, SweptValues
from nexus.adapters.dynamodb.spilling import iterate_spilled_digests
from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import delete, insert
from nexus.domain.ports.values import DamagedValue
from tests.contracts.conftest import dynamodb_tables
from tests.contracts.stored import JOBS, LINES, Clock, Job, Line

CONTENT = b"x" * 70_000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Hours:
    """The time of this machine, moved forward."""

    passed = 0.0

    def __call__(self) -> float:
        return time.time() + self.passed * 3600


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def values(tmp_path: Path, hours: Hours) -> DirectoryValues:
    return DirectoryValues(tmp_path, clock=hours)


class Stored:
    """Rows in DynamoDB with their values, and the sweep of those that nothing refers to."""

    def __init__(self, client: object, prefix: str, values: DirectoryValues, root: Path) -> None:
        self.tables = Tables(DynamoTables(client, prefix=prefix, values=values), secret=b"s", clock=Clock())
        self._client, self._prefix, self._values, self._root = client, prefix, values, root

    def list_files(self) -> list[str]:
        return sorted(path.name for path in self._root.rglob("*") if path.is_file())

    async def sweep(self) -> SweptValues:
        listed, used = await self._values.list_values(), set[str]()
        for table in (JOBS, LINES):
            used |= {digest async for digest in iterate_spilled_digests(self._client, table, prefix=self._prefix)}
        return await self._values.delete_unused_values(listed, used)


@pytest.fixture
async def stored(aws_url: str, values: DirectoryValues, tmp_path: Path) -> AsyncIterator[Stored]:
    async with dynamodb_tables(aws_url) as (client, prefix):
        yield Stored(client, prefix, values, tmp_path)


async def test_a_value_is_called_by_its_content_and_kept_once(values: DirectoryValues, tmp_path: Path) -> None:
    digests = await asyncio.gather(*(values.keep_value(CONTENT) for _ in range(8)))
    assert {*digests} == {DIGEST}
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert path.relative_to(tmp_path).as_posix() == f"spilled/{DIGEST[:2]}/{DIGEST}"
    assert await values.read_value(DIGEST) == CONTENT


async def test_what_is_damaged_or_missing_is_an_error_that_is_logged(values: DirectoryValues, tmp_path: Path) -> None:
    await values.keep_value(CONTENT)
    path = tmp_path / "spilled" / DIGEST[:2] / DIGEST
    path.write_bytes(CONTENT[:-1] + b"y")
    with capture_logs() as logs, pytest.raises(DamagedValue, match="not what was written"):
        await values.read_value(DIGEST)
    path.unlink()
    with capture_logs() as more, pytest.raises(DamagedValue, match="missing"):
        await values.read_value(DIGEST)
    assert [(log["event"], log["path"]) for log in logs + more] == [
        ("value.damaged", str(path)),
        ("value.missing", str(path)),
    ]


async def test_what_was_read_of_late_is_not_read_again(values: DirectoryValues, tmp_path: Path) -> None:
    await values.keep_value(CONTENT)
    assert await values.read_value(DIGEST) == CONTENT
    (tmp_path / "spilled" / DIGEST[:2] / DIGEST).unlink()
    assert await values.read_value(DIGEST) == CONTENT


def test_only_so_much_is_remembered() -> None:
    recent = RecentValues(10)
    for name in ("a", "b", "c"):
        recent.add(name, name.encode() * 4)
        recent.find("a")
    assert [recent.find(name) for name in ("a", "b", "c")] == [b"aaaa", None, b"cccc"]
    recent.add("a", b"aaaa")
    recent.add("large", b"x" * 11)
    assert [recent.find(name) for name in ("a", "c", "large")] == [None] * 3


async def test_a_value_that_was_cut_is_written_again(values: DirectoryValues, tmp_path: Path) -> None:
    await values.keep_value(CONTENT)
    (tmp_path / "spilled" / DIGEST[:2] / DIGEST).write_bytes(b"")
    await values.keep_value(CONTENT)
    assert await values.read_value(DIGEST) == CONTENT


async def test_a_row_refers_to_its_large_values_alone(stored: Stored) -> None:
    for job_id, payload in (("j1", {"text": "a" * 70_000}), ("j2", {"text": "b"}), ("j3", {"text": "a" * 70_000})):
        await stored.tables.commit(insert(JOBS, Job(job_id=job_id, payload=payload)))
    await stored.tables.commit(insert(LINES, Line(topic="t", position=1, text="b" * 70_000)))
    assert len(stored.list_files()) == 2, "equal values of two rows are one file"


async def test_a_damaged_value_is_no_answer(stored: Stored, tmp_path: Path) -> None:
    await stored.tables.commit(insert(LINES, Line(topic="t", position=1, text="b" * 70_000)))
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    path.write_bytes(b'"bb"')
    for read in (stored.tables.find(LINES, "t", 1), stored.tables.read_page(LINES, "t")):
        with pytest.raises(DamagedValue):
            await read


async def test_what_nothing_refers_to_is_deleted_by_the_second_sweep(stored: Stored, hours: Hours) -> None:
    gone, stays = Job(job_id="j1", payload={"text": "a" * 70_000}), Job(job_id="j2", payload={"text": "b" * 70_000})
    await stored.tables.commit(insert(JOBS, gone), insert(JOBS, stays))
    await stored.tables.commit(delete(JOBS, gone))
    assert await stored.sweep() == SweptValues(2, 0, 0), "it was just written"
    hours.passed = 25
    assert await stored.sweep() == SweptValues(2, 1, 0)
    assert await stored.sweep() == SweptValues(2, 0, 0), "it was just set aside"
    hours.passed = 50
    assert await stored.sweep() == SweptValues(2, 0, 1)
    assert len(stored.list_files()) == 1
    assert await stored.tables.get(JOBS, "j2") == stays


async def test_a_value_set_aside_can_be_read_and_comes_back_with_a_row(
    stored: Stored, values: DirectoryValues, hours: Hours
) -> None:
    digest = await values.keep_value(b'"' + b"a" * 70_000 + b'"')
    hours.passed = 25
    assert (await stored.sweep()).set_aside == 1
    assert await values.read_value(digest)
    await stored.tables.commit(insert(LINES, line := Line(topic="t", position=1, text="a" * 70_000)))
    hours.passed = 50
    assert (await stored.sweep()).deleted == 0
    assert stored.list_files() == [digest]
    assert await stored.tables.get(LINES, "t", 1) == line


async def test_what_is_written_again_during_a_sweep_is_not_set_aside(
    values: DirectoryValues, hours: Hours, tmp_path: Path
) -> None:
    await values.keep_value(CONTENT)
    path = tmp_path / "spilled" / DIGEST[:2] / DIGEST
    old = time.time() - GRACE_SECONDS - 10
    os.utime(path, (old, old))
    hours.passed = 24.001
    listed = await values.list_values()
    assert [one.is_old for one in listed] == [True]
    hours.passed = 0
    await values.keep_value(CONTENT)
    assert await values.delete_unused_values(listed, ()) == SweptValues(1, 0, 0)
    assert [path.name for path in path.parent.iterdir()] == [DIGEST]
