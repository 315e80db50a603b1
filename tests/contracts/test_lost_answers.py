"""DynamoDB behind a line that breaks after the store has done the work: what we wrote is known as ours."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError
from msgspec import Struct, structs

from nexus.adapters.dynamodb.retries import Retries
from nexus.adapters.dynamodb.tables import DynamoTables
from nexus.domain.core.errors import AlreadyExists, Conflict, InvalidInput, Stale, Unavailable
from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import delete, insert, patch, tally, when
from tests.contracts.conftest import dynamodb_client, dynamodb_tables
from tests.contracts.stored import JOBS, LINES, TALLIES, Clock, Job, Line


class Proxy:
    """Passes requests on, and hangs up instead of the next `lose` answers."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.lose = 0
        self.meanwhile: Callable[[], Awaitable[None]] | None = None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            while True:
                back.write(await _message(reader))
                answer = await _message(there)
                if self.lose:
                    self.lose -= 1
                    if self.meanwhile:
                        await self.meanwhile()
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()
            back.close()


async def _message(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    [length] = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + await reader.readexactly(int(length))


class Lossy(Struct):
    tables: Tables
    others: Tables
    """The same tables over a line that holds."""
    proxy: Proxy


@pytest.fixture
async def lossy(dynamodb_url: str, clock: Clock) -> AsyncIterator[Lossy]:
    proxy = Proxy(int(dynamodb_url.rpartition(":")[2]))
    async with (
        dynamodb_tables(dynamodb_url) as (direct, prefix),
        await asyncio.start_server(proxy.serve, "127.0.0.1", 0) as server,
    ):
        port = server.sockets[0].getsockname()[1]
        async with dynamodb_client(f"http://127.0.0.1:{port}") as client:
            tables = Tables(DynamoTables(client, prefix=prefix), secret=b"s", clock=clock)
            others = Tables(DynamoTables(direct, prefix=prefix), secret=b"s", clock=clock)
            yield Lossy(tables, others, proxy)


async def test_a_lone_write_is_applied_once(lossy: Lossy) -> None:
    tables, proxy, job = lossy.tables, lossy.proxy, Job(job_id="j1")
    proxy.lose = 1
    await tables.commit(insert(JOBS, job))
    proxy.lose = 2
    await tables.commit(patch(JOBS, job, when(status="queued"), status="running", worker="me"))
    now = await tables.get(JOBS, "j1")
    assert (now.status, now.worker, now.revision) == ("running", "me", 1)
    proxy.lose = 1
    edited = await tables.edit_row(JOBS, "j1", change=lambda job: structs.replace(job, priority=1))
    assert edited == await tables.get(JOBS, "j1")
    with pytest.raises(Stale):
        await tables.commit(patch(JOBS, job, when(status="queued"), status="running", worker="me"))
    proxy.lose = 1
    await tables.commit(delete(JOBS, now, when(status="running")))
    assert await tables.find(JOBS, "j1") is None


async def test_a_patch_whose_condition_still_holds_counts_its_revision_once(lossy: Lossy) -> None:
    job = Job(job_id="j1")
    await lossy.tables.commit(insert(JOBS, job))
    lossy.proxy.lose = 1
    await lossy.tables.commit(patch(JOBS, job, when(status="queued"), worker="w"))
    assert (await lossy.tables.get(JOBS, "j1")).revision == 1


async def test_a_commit_of_several_is_applied_once(lossy: Lossy) -> None:
    tables, job, line = lossy.tables, Job(job_id="j1"), insert(LINES, Line(topic="t", position=1))
    await tables.commit(insert(JOBS, job))
    lossy.proxy.lose = 3
    moved = patch(JOBS, job, when(status="queued"), status="running")
    await tables.commit(moved, line, tally(TALLIES, ("t", "d"), calls=1))
    assert lossy.proxy.lose == 0
    assert (await tables.get(TALLIES, "t", "d")).calls == 1
    assert (await tables.get(JOBS, "j1")).revision == 1
    with pytest.raises(AlreadyExists):
        await tables.commit(line, tally(TALLIES, ("t", "d"), calls=1))


async def test_a_lost_refusal_is_refused_again(lossy: Lossy) -> None:
    await lossy.tables.commit(insert(JOBS, Job(job_id="j1", worker="first")))
    lossy.proxy.lose = 2
    with pytest.raises(AlreadyExists):
        await lossy.tables.commit(insert(JOBS, Job(job_id="j1", worker="second")))
    assert (await lossy.tables.get(JOBS, "j1")).worker == "first"


async def test_a_commit_is_ours_though_another_wrote_over_one_of_its_rows(lossy: Lossy) -> None:
    job = Job(job_id="j1")
    await lossy.tables.commit(insert(JOBS, job))

    async def overwrite() -> None:
        await lossy.others.commit(patch(JOBS, job, when(), priority=9))

    lossy.proxy.lose, lossy.proxy.meanwhile = 1, overwrite
    moved = patch(JOBS, job, when(status="queued"), status="running")
    await lossy.tables.commit(moved, insert(LINES, Line(topic="t", position=1)))
    now = await lossy.tables.get(JOBS, "j1")
    assert (now.status, now.priority) == ("running", 9)


async def test_a_lone_patch_that_lost_its_answer_and_then_its_mark_reads_as_stale(lossy: Lossy) -> None:
    job = Job(job_id="j1")
    await lossy.tables.commit(insert(JOBS, job))

    async def overwrite() -> None:
        await lossy.others.commit(patch(JOBS, job, when(), priority=9))

    lossy.proxy.lose, lossy.proxy.meanwhile = 1, overwrite
    with pytest.raises(Stale):
        await lossy.tables.commit(patch(JOBS, job, when(status="queued"), status="running"))
    assert (await lossy.tables.get(JOBS, "j1")).status == "running"


async def test_reads_go_again(lossy: Lossy) -> None:
    await lossy.tables.commit(insert(JOBS, Job(job_id="j1")))
    lossy.proxy.lose = 2
    assert await lossy.tables.find(JOBS, "j1") == Job(job_id="j1")
    lossy.proxy.lose = 1
    assert len((await lossy.tables.read_page(JOBS, "u1", index="UserIndex")).items) == 1


class Refusing:
    """A client that answers each call with the next of these codes (a list: a cancelled transaction), then with success."""

    def __init__(self, *codes: list[str] | str) -> None:
        self._codes, self.asked = list(codes), 0

    async def _answer(self, **request: Any) -> dict[str, Any]:
        self.asked += 1
        if not self._codes:
            return {}
        code, row = self._codes.pop(0), {"job_id": {"S": "j1"}, "tenant_id": {"S": "t"}}
        response: Any = {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 400}}
        if isinstance(code, list):
            response["Error"]["Code"] = "TransactionCanceledException"
            response["CancellationReasons"] = [
                {"Code": one} | ({"Item": row} if "Check" in one else {}) for one in code
            ]
        raise ClientError(response, "write")

    transact_write_items = put_item = update_item = get_item = _answer


LINE = insert(LINES, Line(topic="t", position=1))
TWO = (patch(JOBS, Job(job_id="j1"), worker="w"), LINE)


async def test_transactions_that_meet_go_again(clock: Clock) -> None:
    client = Refusing(["None", "TransactionConflict"], ["TransactionConflict", "ThrottlingError"])
    await Tables(DynamoTables(client), secret=b"s", clock=clock).commit(*TWO)
    assert client.asked == 3


async def test_a_condition_that_fails_beside_a_conflict_is_told_at_once(clock: Clock) -> None:
    client = Refusing(["ConditionalCheckFailed", "TransactionConflict"])
    with pytest.raises(Conflict):
        await Tables(DynamoTables(client), secret=b"s", clock=clock).commit(*TWO)
    assert client.asked == 1


async def test_throttled_for_good_is_unavailable(clock: Clock) -> None:
    client = Refusing(*["ProvisionedThroughputExceededException"] * 20)
    with pytest.raises(Unavailable):
        await Tables(DynamoTables(client, retries=Retries(lost=[0] * 6)), secret=b"s", clock=clock).commit(LINE)
    assert client.asked == 7


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("AccessDeniedException", Unavailable),
        ("ResourceNotFoundException", Unavailable),
        ("ValidationException", InvalidInput),
    ],
)
async def test_what_does_not_pass_is_not_asked_again(code: str, kind: type[Exception], clock: Clock) -> None:
    for ask in ("write", "read"):
        client = Refusing(code)
        tables = Tables(DynamoTables(client), secret=b"s", clock=clock)
        with pytest.raises(kind):
            await (tables.commit(LINE) if ask == "write" else tables.find(JOBS, "j1"))
        assert client.asked == 1
