"""The journal: what is finished is replayed, what was in flight is repeated or owned up to, what kills its hosts is given up."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from nexus.adapters.memory.models import MemoryCatalog
from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import Unavailable
from nexus.domain.models.service import Models
from nexus.domain.ports.database import Tables
from nexus.domain.ports.models import ChatMessage, Delta, End, ModelRequest, ToolCall
from nexus.domain.ports.rows import Item, Place, Write, check, when
from nexus.domain.runtime.journal import Journal, hash_step_request
from nexus.domain.runtime.quarantine import QuarantineGate
from nexus.domain.runtime.steps import ALONE_DEATHS, OutcomeUnknown, Poisonous, ToolResult
from nexus.domain.runtime.tables import STEPS
from tests.fakes.models import Gate, ScriptedModel, turn

ASKED = ModelRequest(messages=(ChatMessage("user", "hello"),))


class Died(BaseException):
    """The host is gone: nothing that would run afterwards does."""


def clock() -> float:
    return 1_800_000_000.0


async def paused(seconds: float) -> None:
    """No time to lose."""


@pytest.fixture
def tables() -> Tables:
    return Tables(MemoryTables(), secret=b"s" * 32, clock=clock)


def journal(tables: Tables, gate: QuarantineGate | None = None) -> Journal:
    """What the next host opens over the same store."""
    return Journal(tables=tables, clock=clock, scope="reply:1", guard=lambda: (), gate=gate)


def over(model: ScriptedModel, steps: Journal) -> Models:
    return steps.wrap_models_in_journal(Models(catalog=MemoryCatalog(model), clock=clock, sleep=paused))


async def heard(models: Models, request: ModelRequest = ASKED) -> list[Delta | End]:
    return [item async for item in models.stream(request)]


async def test_a_finished_call_is_replayed_in_one_piece_and_not_paid_again(tables: Tables) -> None:
    model = ScriptedModel(turn("hel", "lo", ToolCall("c1", "calculate", "{}")), "more")
    first = journal(tables)
    live = await heard(over(model, first))
    second = journal(tables)
    replayed = await heard(over(model, second))
    assert live[-1] == replayed[-1]
    assert replayed[0] == Delta("hello")
    assert (len(model.requests), second.replayed, second.unknown) == (1, 1, False)
    assert (await heard(over(model, second)))[0] == Delta("more")


async def test_another_question_at_the_same_place_is_asked_anew(tables: Tables) -> None:
    model = ScriptedModel("one", "two")
    await heard(over(model, journal(tables)))
    other = ModelRequest(messages=(ChatMessage("user", "something else"),))
    assert (await heard(over(model, journal(tables)), other))[0] == Delta("two")


async def test_a_call_that_failed_is_no_death_and_keeps_its_place(tables: Tables) -> None:
    model = ScriptedModel(turn(Unavailable("away")), "here")
    steps = journal(tables)
    assert (await heard(over(model, steps)))[0] == Delta("here")
    again = journal(tables)
    assert (await heard(over(model, again)))[0] == Delta("here")
    assert (len(model.requests), again.unknown) == (2, False)


async def test_a_call_in_flight_when_the_host_died_is_repeated_and_its_cost_unknown(tables: Tables) -> None:
    model = ScriptedModel("whole")
    dying = journal(tables)
    await dying._insert_step("model", ASKED.purpose, _digest(model), eager=True)
    steps = journal(tables)
    assert (await heard(over(model, steps)))[0] == Delta("whole")
    assert steps.unknown


def _digest(model: ScriptedModel) -> str:
    return hash_step_request("model", model.name, msgspec.json.encode(ASKED).decode())


async def test_a_tool_is_called_once_and_gets_the_same_key_when_it_is_repeated(tables: Tables) -> None:
    keys = list[str]()

    async def call(key: str) -> ToolResult:
        keys.append(key)
        if len(keys) == 1:
            raise Unavailable("not now")
        return ToolResult(ok=True, result="4", seconds=0.1)

    with pytest.raises(Unavailable):
        await journal(tables).call_tool_as_step("double", "{}", "external", call)
    first = await journal(tables).call_tool_as_step("double", "{}", "external", call)
    again = await journal(tables).call_tool_as_step("double", "{}", "external", call)
    assert first == again
    assert keys == ["reply:1#0"] * 2


@pytest.mark.parametrize("effect", ["write_own", "external", "spend", "destructive"])
async def test_a_tool_that_changes_the_world_is_not_repeated_when_the_host_died_under_it(
    tables: Tables, effect: str
) -> None:
    async def dies(key: str) -> ToolResult:
        raise Died

    async def call(key: str) -> ToolResult:
        raise AssertionError("it must not be called again")

    dying = journal(tables)
    dying._discard_unfinished_step = _nothing  # type: ignore[method-assign]  # a dead host forgets nothing
    with pytest.raises(Died):
        await dying.call_tool_as_step("send", "{}", effect, dies)  # type: ignore[arg-type]  # one of the effects
    with pytest.raises(OutcomeUnknown):
        await journal(tables).call_tool_as_step("send", "{}", effect, call)  # type: ignore[arg-type]  # one of the effects


async def _nothing(step: object, *, cut: bool = False) -> None:
    """What a host does after its death."""


async def test_a_step_that_kills_every_host_runs_alone_and_is_then_given_up(tables: Tables) -> None:
    gate, alone = QuarantineGate(), 0

    async def dies(key: str) -> ToolResult:
        nonlocal alone
        alone += gate._exclusive
        raise Died

    for _ in range(1 + ALONE_DEATHS):
        dying = journal(tables, gate)
        dying._discard_unfinished_step = _nothing  # type: ignore[method-assign]  # a dead host forgets nothing
        with pytest.raises(Died):
            await dying.call_tool_as_step("crash", "{}", "pure", dies)
    assert alone == ALONE_DEATHS
    with pytest.raises(Poisonous):
        await journal(tables, gate).call_tool_as_step("crash", "{}", "pure", dies)


async def test_nothing_else_is_in_flight_while_a_suspect_runs() -> None:
    gate, order = QuarantineGate(), list[str]()
    begun, release = asyncio.Event(), asyncio.Event()

    async def ordinary(name: str) -> None:
        async with gate.acquire_shared():
            order.append(f"{name} in")
            begun.set()
            await release.wait()
            order.append(f"{name} out")

    async def suspect() -> None:
        async with gate.acquire_exclusive():
            order.append("suspect in")
            await asyncio.sleep(0)
            order.append("suspect out")

    async with asyncio.TaskGroup() as group:
        group.create_task(ordinary("a"))
        await begun.wait()
        group.create_task(suspect())
        await asyncio.sleep(0)
        group.create_task(ordinary("b"))
        await asyncio.sleep(0)
        release.set()
    assert order == ["a in", "a out", "suspect in", "suspect out", "b in", "b out"]


async def test_a_call_that_was_cut_is_no_death_but_what_it_cost_is_unknown(tables: Tables) -> None:
    gate = Gate()
    model = ScriptedModel(turn("half", gate, "never"), "whole")
    cut = asyncio.ensure_future(heard(over(model, journal(tables))))
    await gate.reached.wait()
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    steps = journal(tables)
    assert (await heard(over(model, steps)))[0] == Delta("whole")
    assert steps.unknown
    again = journal(tables)
    assert (await heard(over(model, again)))[0] == Delta("whole")
    assert again.unknown


async def test_a_tool_that_changes_the_world_and_was_cut_is_not_called_again(tables: Tables) -> None:
    gate, keys = asyncio.Event(), list[str]()

    async def call(key: str) -> ToolResult:
        keys.append(key)
        await gate.wait()
        return ToolResult(ok=True, result="{}", seconds=0.0)

    cut = asyncio.ensure_future(journal(tables).call_tool_as_step("pay", "{}", "destructive", call))
    while not keys:
        await asyncio.sleep(0)
    cut.cancel()
    await asyncio.gather(cut, return_exceptions=True)
    with pytest.raises(OutcomeUnknown):
        await journal(tables).call_tool_as_step("pay", "{}", "destructive", call)
    assert len(keys) == 1


async def test_a_call_that_was_cut_after_its_run_was_taken_away_is_no_death(tables: Tables) -> None:
    gate = Gate()
    model = ScriptedModel(turn(gate, "late"), "here")
    guard = list[Write]()
    steps = Journal(tables=tables, clock=clock, scope="reply:1", guard=lambda: guard)
    asking = asyncio.ensure_future(heard(over(model, steps)))
    await gate.reached.wait()
    guard.append(check(STEPS, next(iter((await tables.walk(STEPS)).items)), when(digest="another's")))
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    [left] = (await tables.walk(STEPS)).items
    assert (left.cut, left.deaths) == (True, 0)


async def test_only_the_newest_answer_can_be_forgotten_and_never_what_a_tool_did(tables: Tables) -> None:
    model = ScriptedModel("one", "two", "two again")
    first, other = journal(tables), ModelRequest(messages=(ChatMessage("user", "and then"),))
    assert not await first.invalidate_last_answer()
    await heard(over(model, first))
    await heard(over(model, first), other)
    assert await journal(tables).invalidate_last_answer()
    second = journal(tables)
    assert [(await heard(over(model, second), asked))[0] for asked in (ASKED, other)] == [
        Delta("one"),
        Delta("two again"),
    ]
    assert second.unknown, "what the forgotten answer cost was counted nowhere"
    calls = 0

    async def send(key: str) -> ToolResult:
        nonlocal calls
        calls += 1
        return ToolResult(ok=True, result="sent", seconds=0.0)

    await second.call_tool_as_step("send", "{}", "external", send)
    assert await journal(tables).invalidate_last_answer()
    third = journal(tables)
    for asked in (ASKED, other):
        await heard(over(model, third), asked)
    await third.call_tool_as_step("send", "{}", "external", send)
    assert (calls, third.replayed) == (1, 3)


async def test_forgetting_twice_before_anything_is_asked_forgets_the_answer_before_as_well(tables: Tables) -> None:
    model = ScriptedModel("one", "two", "one again", "two again")
    first, other = journal(tables), ModelRequest(messages=(ChatMessage("user", "and then"),))
    await heard(over(model, first))
    await heard(over(model, first), other)
    for _ in range(3):
        assert await journal(tables).invalidate_last_answer()
    second = journal(tables)
    assert not await second.has_unfinished_step(), "nobody died under what was forgotten"
    assert [(await heard(over(model, second), asked))[0] for asked in (ASKED, other)] == [
        Delta("one again"),
        Delta("two again"),
    ]
    assert (second.replayed, second.unknown) == (0, True)


async def test_a_new_scope_is_not_read_and_what_its_journal_wrote_is() -> None:
    class Counting(MemoryTables):
        reads = 0

        async def read_rows(self, places: Sequence[Place]) -> list[Item | None]:
            self.reads += 1
            return await super().read_rows(places)

    driver = Counting()
    tables = Tables(driver, secret=b"s", clock=clock)
    steps = Journal(tables=tables, clock=clock, scope="reply:1", guard=lambda: (), eager=False, is_new=True)
    models = over(ScriptedModel("one", "two"), steps)
    for _ in range(2):
        await heard(models)
    assert (driver.reads, steps.finished_step_count) == (0, 2)

    async def call(key: str) -> ToolResult:
        return ToolResult(ok=True, result="1", seconds=0.0)

    await steps.call_tool_as_step("send", "{}", "external", call)
    assert driver.reads == 0, "what this journal wrote, it knows"
    replayed = await heard(over(ScriptedModel(), journal(tables)))
    assert isinstance(replayed[-1], End)


async def test_a_result_that_no_row_can_hold_is_measured_as_it_is_stored(tables: Tables) -> None:
    quotes = '"' * 120_000
    steps = journal(tables)
    assert await heard(over(ScriptedModel(turn(quotes)), steps))
    assert await tables.find(STEPS, "reply:1", 0) is None
