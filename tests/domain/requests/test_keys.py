"""Long work under a key: claimed before it begins, waited for by all others, begun anew where the first one died."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from secrets import token_hex

import msgspec
import pytest

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import Conflict, Unavailable
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import Tables
from nexus.domain.ports.rows import insert
from nexus.domain.requests.model import KeptAnswer, Once, make_idempotency_key
from nexus.domain.requests.service import KeyReused, Requests, Waiting
from nexus.domain.requests.tables import REQUESTS
from nexus.domain.tasks.execution import LeaseTimes
from tests.fakes.heartbeat import MemoryHeartbeat
from tests.memory_app import ANN, BEN

SOON, LEASE = Waiting(longest=20, look=0.001), LeaseTimes(lease=0.05)
KEY = make_idempotency_key("k", "POST /x", b"body")
PLACE = '["tnt_one","usr_ann","POST /x","k"]'


@pytest.fixture
def tables() -> Tables:
    return Tables(MemoryTables(), secret=b"s" * 32, clock=lambda: 1_800_000_000.0)


class Beats:
    """The signs of life of a process."""

    def __init__(self) -> None:
        self.heartbeat = MemoryHeartbeat()

    async def run(self) -> None:
        while True:
            await self.heartbeat.beat()
            await asyncio.sleep(0.005)


@pytest.fixture
async def beats() -> AsyncIterator[MemoryHeartbeat]:
    own = Beats()
    beating = asyncio.ensure_future(own.run())
    yield own.heartbeat
    beating.cancel()
    await asyncio.gather(beating, return_exceptions=True)


def process(tables: Tables, waiting: Waiting = SOON, *, beats: MemoryHeartbeat | None = None) -> Requests:
    """What each process has of its own over the same store; without `beats`, it shows no life."""
    return Requests(
        tables=tables,
        clock=lambda: 1_800_000_000.0 + time.monotonic(),
        heartbeat=beats or MemoryHeartbeat(),
        worker_id=token_hex(4),
        times=LEASE,
        waiting=waiting,
    )


class Work:
    """Counts how often it is begun; goes on when `go` is set."""

    def __init__(self) -> None:
        self.begun, self.go = 0, asyncio.Event()
        self.reached = asyncio.Event()

    async def __call__(self) -> str:
        self.begun += 1
        self.reached.set()
        await self.go.wait()
        return f"answer {self.begun}"


async def asked(
    tables: Tables, at: Requests, work: Callable[[], Awaitable[str]], key: Once | None = KEY, caller: Principal = ANN
) -> str:
    async with at.begin_long_request(caller, key, str) as request:
        if request.answer is None:
            answer = await work()
            await tables.commit(*request.make_answer_writes(answer))
            request.answer = answer
    return request.result


async def test_long_work_goes_on_once_in_two_processes_and_both_get_its_answer(
    tables: Tables, beats: MemoryHeartbeat
) -> None:
    work, processes = Work(), [process(tables, beats=beats), process(tables, beats=beats)]
    asking = [asyncio.ensure_future(asked(tables, processes[number % 2], work)) for number in range(16)]
    await work.reached.wait()
    while (await tables.get(REQUESTS, PLACE)).heartbeat < 3:  # longer than the dead are waited for
        await asyncio.sleep(0)
    work.go.set()
    assert set(await asyncio.gather(*asking)) == {"answer 1"}
    assert work.begun == 1


async def test_where_the_first_process_died_the_next_request_begins_anew_and_once(tables: Tables) -> None:
    dead = KeptAnswer(
        key=PLACE, digest=KEY.digest, status="running", worker_id="gone", fence=1, expires_at=1_900_000_000
    )
    await tables.commit(insert(REQUESTS, dead))
    work = Work()
    work.go.set()
    asking = [asked(tables, at, work) for at in (process(tables), process(tables), process(tables))]
    assert set(await asyncio.gather(*asking)) == {"answer 1"}


async def test_one_that_lost_its_claim_records_nothing_and_gets_the_others_answer(tables: Tables) -> None:
    slow, fast = Work(), Work()
    mute = process(tables)
    first = asyncio.ensure_future(asked(tables, mute, slow))
    await slow.reached.wait()
    second = asyncio.ensure_future(asked(tables, process(tables), fast))
    await fast.reached.wait()
    slow.go.set()
    await asyncio.sleep(0)
    fast.begun = 7
    fast.go.set()
    assert await asyncio.gather(first, second) == ["answer 7", "answer 7"]


async def test_work_that_fails_leaves_the_key_free(tables: Tables) -> None:
    async def failing() -> str:
        raise Conflict("not now")

    work = Work()
    work.go.set()
    at = process(tables)
    with pytest.raises(Conflict, match="not now"):
        await asked(tables, at, failing)
    assert await asked(tables, process(tables), work) == "answer 1"


async def test_a_request_that_is_cut_leaves_the_key_free(tables: Tables) -> None:
    work, at = Work(), process(tables)
    cut = asyncio.ensure_future(asked(tables, at, work))
    await work.reached.wait()
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    work.go.set()
    assert await asked(tables, at, work) == "answer 2"


@pytest.mark.parametrize("same_process", [True, False])
async def test_another_body_is_refused_while_the_first_is_worked_on_and_after(
    tables: Tables, same_process: bool
) -> None:
    work, at = Work(), process(tables)
    other = at if same_process else process(tables)
    first = asyncio.ensure_future(asked(tables, at, work))
    await work.reached.wait()
    refused = asyncio.ensure_future(asked(tables, other, work, make_idempotency_key("k", "POST /x", b"other")))
    if not same_process:
        with pytest.raises(KeyReused):
            await refused
    work.go.set()
    assert await first == "answer 1"
    with pytest.raises(KeyReused):
        await (refused if same_process else asked(tables, other, work, make_idempotency_key("k", "POST /x", b"other")))


async def test_the_same_key_of_another_user_or_route_is_another_key(tables: Tables) -> None:
    work, at = Work(), process(tables)
    work.go.set()
    said = [
        await asked(tables, at, work),
        await asked(tables, at, work, caller=BEN),
        await asked(tables, at, work, make_idempotency_key("k", "POST /y", b"body")),
        await asked(tables, at, work, None),
        await asked(tables, at, work, None),
    ]
    assert said == [f"answer {number}" for number in range(1, 6)]


@pytest.mark.parametrize("same_process", [True, False])
async def test_nobody_waits_for_ever(tables: Tables, same_process: bool) -> None:
    impatient = msgspec.structs.replace(SOON, longest=0.02)
    work, at = Work(), process(tables, impatient)
    first = asyncio.ensure_future(asked(tables, at, work))
    await work.reached.wait()
    with pytest.raises(Unavailable) as found:
        await asked(tables, at if same_process else process(tables, impatient), work)
    assert found.value.facts["retry_after"]
    work.go.set()
    assert await first == "answer 1"


async def test_an_answer_whose_commit_was_told_as_failed_is_found(tables: Tables) -> None:
    async def committed_and_lost() -> str:
        async with process(tables).begin_idempotent_request(ANN, KEY, str) as request:
            await tables.commit(*request.make_answer_writes("kept"))
            raise Unavailable("the answer of the store was lost")
        return request.result

    assert await committed_and_lost() == "kept"
