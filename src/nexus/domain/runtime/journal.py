"""The journal of a piece of work: a finished step is replayed, never paid twice; an unfinished one is repeated, or owned up to."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Protocol

import msgspec

from nexus.domain.core.errors import Conflict, NotFound, Unavailable
from nexus.domain.core.failpoints import hit_failpoint
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.models.service import Models
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.models import ChatModel, Delta, End, ModelRequest
from nexus.domain.ports.rows import Write, delete, insert, patch, when
from nexus.domain.ports.tools import Effect
from nexus.domain.runtime.quarantine import QuarantineGate
from nexus.domain.runtime.steps import ALONE_DEATHS, ModelResult, OutcomeUnknown, Poisonous, Step, StepKind, ToolResult
from nexus.domain.runtime.tables import STEPS

KEPT_SECONDS = 7 * 86_400
KEPT_BYTES = 300_000
KEEPING_PAUSES = (0.0, 0.2, 0.4, 0.8, 1.6, 3.2)
"""Seconds between tries to keep a result."""

REPEATABLE: tuple[Effect, ...] = ("pure", "read")
Guard = Callable[[], Sequence[Write]]


class Journal:
    """The steps of one scope, in the order in which they are asked. `guard` gives the writes under which they may be kept: the
    fence of the work. `eager` notes a step before it begins, which counts the processes that die under it. Where the scope `is_new`, nothing is read
    that this journal has not written."""

    def __init__(
        self,
        *,
        tables: Tables,
        clock: Clock,
        scope: str,
        guard: Guard,
        gate: QuarantineGate | None = None,
        eager: bool = True,
        is_new: bool = False,
    ) -> None:
        self._tables, self._clock, self._scope, self._guard = tables, clock, scope, guard
        self._gate, self._eager, self._done = gate, eager, 0
        self._is_new, self._written = is_new, -1
        self._last: Step | None = None
        self._last_place = -1
        self.replayed = 0
        self.unknown = False
        """Whether a call was lost with its process, and so what it cost."""

    def wrap_models_in_journal(self, models: Models) -> Models:
        """The same models, whose calls are steps of this journal."""
        return models.with_model_view(lambda model: _JournaledModel(model, self))

    async def call_tool_as_step(
        self, name: str, arguments: str, effect: Effect, call: Callable[[str], Awaitable[ToolResult]]
    ) -> ToolResult:
        """A tool call as a step; `call` gets the step's idempotency key. OutcomeUnknown when the process died under one that changes the
        world."""
        asked = hash_step_request("tool", name, arguments)
        repeatable = effect in REPEATABLE
        async with self.begin_step("tool", name, asked, is_noted=not repeatable, repeatable=repeatable) as step:
            if step.result is not None:
                return msgspec.json.decode(step.result, type=ToolResult)
            if step.deaths and not repeatable:
                raise OutcomeUnknown(
                    f"{name} was cut off while it was running: whether it did its work is not known.", tool=name
                )
            hit_failpoint("before:step.tool")
            returned = await call(f"{self._scope}#{step.ordinal}")
            hit_failpoint("after:step.tool")
            await self.finish_step(step, returned)
        return returned

    @property
    def finished_step_count(self) -> int:
        """How many steps have their result: the place of the next one."""
        return self._done

    async def delete_steps_since(self, since: int) -> None:
        """From this place on, whoever comes next asks anew."""
        self._last_place = -1
        window = Window(limit=50, newest_first=True, since=since)
        while steps := (await self._tables.read_page(STEPS, self._scope, window=window)).items:
            await self._tables.commit(*(delete(STEPS, step) for step in steps), *self._guard())

    async def invalidate_last_answer(self) -> bool:
        """The newest step, where it is a model's answer, is asked anew by whoever comes next, who does not know what it cost. False where
        there is no step at all."""
        self._last_place = -1
        steps = (await self._tables.read_page(STEPS, self._scope, window=Window(limit=100, newest_first=True))).items
        newest = next((step for step in steps if step.result is not None or not step.cut), None)
        if newest and newest.kind == "model" and newest.result is not None:
            await self._tables.commit(patch(STEPS, newest, result=None, cut=True, lost=True), *self._guard())
        return bool(steps)

    async def has_unfinished_step(self) -> bool:
        """Whether a step is noted that has begun and has no end: one under which a process died."""
        steps = await self._tables.read_page(STEPS, self._scope, window=Window(limit=100, newest_first=True))
        return any(step.result is None and not step.cut for step in steps.items)

    @asynccontextmanager
    async def begin_step(
        self, kind: StepKind, name: str, asked: str, *, is_noted: bool = False, repeatable: bool = True
    ) -> AsyncIterator[Step]:
        """The step at the next place: with its result where it is finished; else it is to be made and `finished`. `is_noted`: before it
        begins, whatever the journal does."""
        eager = is_noted or self._eager
        known = await self._find_matching_step(asked)
        if known is not None and known.result is not None:
            self.replayed += 1
            self._done += 1
            yield known
            return
        async with AsyncExitStack() as stack:
            if self._gate:  # what waits to be let in has not begun: no death is its fault
                await stack.enter_async_context(
                    self._gate.acquire_exclusive() if known else self._gate.acquire_shared()
                )
            step = (
                await self._count_step_death(known)
                if known
                else await self._insert_step(kind, name, asked, eager=eager)
            )
            try:
                yield step
            except OutcomeUnknown:  # nobody knows more about it the next time
                raise
            except BaseException as error:
                cut = not isinstance(error, Exception)
                if eager and (repeatable or not cut):  # a change of the world that was cut may have happened
                    paid = isinstance(error, Unavailable) and "begun" in error.facts
                    await self._discard_unfinished_step(step, cut=cut or paid)
                raise

    async def _find_step(self, ordinal: int, *, is_fresh: bool = False) -> Step | None:
        """As this journal read or wrote it last; `is_fresh`: as it is in the store, where an answer may have been lost."""
        if self._is_new and ordinal > self._written:
            return None
        if is_fresh or ordinal != self._last_place:
            self._last, self._last_place = await self._tables.find(STEPS, self._scope, ordinal), ordinal
        return self._last

    async def _find_matching_step(self, asked: str) -> Step | None:
        """The step at this place, where it is this one: finished, or begun under a process that died."""
        known = await self._find_step(self._done)
        if known is None or known.digest != asked:
            return None
        self.unknown |= known.kind == "model" and (known.lost or known.deaths > 0 or known.result is None)
        return None if known.cut and known.result is None else known

    async def _insert_step(self, kind: StepKind, name: str, asked: str, *, eager: bool) -> Step:
        known = await self._find_step(self._done)
        now = self._clock()
        fresh = Step(
            scope=self._scope,
            ordinal=self._done,
            kind=kind,
            name=name,
            digest=asked,
            created_at=format_instant(now),
            expires_at=int(now) + KEPT_SECONDS,
            lost=known is not None and known.digest == asked and known.lost,
        )
        self._last_place = -1
        if known:
            await self._tables.commit(delete(STEPS, known), *self._guard())
        if eager:
            self._written = self._done
            hit_failpoint("before:step.start")
            await self._tables.commit(insert(STEPS, fresh), *self._guard())
            hit_failpoint("after:step.start")
        self._last, self._last_place = fresh if eager else None, self._done
        return fresh

    async def _count_step_death(self, step: Step) -> Step:
        """The step was begun and not finished: its process died. Poisonous when that happened too often while it was alone."""
        deaths = step.deaths + 1
        if deaths - 1 >= ALONE_DEATHS:
            raise Poisonous(f"The server died {deaths} times under {step.name}.", code="poisonous", step=step.ordinal)
        await self._tables.commit(patch(STEPS, step, deaths=deaths), *self._guard())
        return msgspec.structs.replace(step, deaths=deaths, revision=step.revision + 1)

    async def finish_step(self, step: Step, result: object) -> None:
        """Keeps the result of a step: from now on it is replayed. What has been paid for is not given up because the store is away."""
        text = msgspec.json.encode(result).decode()
        hit_failpoint("before:step.finish")
        for tried, pause in enumerate(KEEPING_PAUSES):
            try:
                await self._write_step_result(step, text, is_fresh=tried > 0)
                break
            except Unavailable:
                await asyncio.sleep(pause)
        else:
            await self._write_step_result(step, text, is_fresh=True)
        hit_failpoint("after:step.finish")
        self._done += 1

    async def _write_step_result(self, step: Step, text: str, *, is_fresh: bool) -> None:
        """May be repeated: what an earlier try did is read first, where there was one."""
        known = await self._find_step(step.ordinal, is_fresh=is_fresh)
        self._written = step.ordinal
        if len(msgspec.json.encode(text)) > KEPT_BYTES:  # no row can hold it: after a crash it is asked again
            await self._discard_unfinished_step(step)
        elif known is None:
            await self._tables.commit(insert(STEPS, msgspec.structs.replace(step, result=text)), *self._guard())
        else:
            await self._tables.commit(patch(STEPS, known, when(digest=step.digest), result=text), *self._guard())

    async def _discard_unfinished_step(self, step: Step, *, cut: bool = False) -> None:
        """The work failed or was cut, the process lives: no death is counted, also when the run is another's by now. Another executor's step
        is left alone. Where the store is away, a death is counted after all."""
        if step.ordinal < self._done:  # it had its result already
            return
        self._last_place = -1
        own = when(revision=step.revision, created_at=step.created_at, result=None)
        lost = (
            patch(STEPS, step, own, cut=True, lost=True) if cut and step.kind == "model" else delete(STEPS, step, own)
        )
        with contextlib.suppress(Conflict, NotFound, Unavailable):
            await self._tables.commit(lost)


class Journals(Protocol):
    """Opens the journal of a scope."""

    def __call__(self, *, scope: str, guard: Guard, is_new: bool = False) -> Journal: ...


class _JournaledModel:
    """A ChatModel whose calls are steps: what is finished streams again out of the journal, in one piece."""

    def __init__(self, model: ChatModel, journal: Journal) -> None:
        self._model, self._journal = model, journal

    @property
    def name(self) -> str:
        return self._model.name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | End, None]:
        asked = hash_step_request("model", self.name, msgspec.json.encode(request).decode())
        async with self._journal.begin_step("model", request.purpose, asked) as step:
            source = (
                _replay_model_result(step.result) if step.result is not None else self._stream_and_record(step, request)
            )
            async with aclosing(source) as items:
                async for item in items:
                    yield item

    async def _stream_and_record(self, step: Step, request: ModelRequest) -> AsyncGenerator[Delta | End, None]:
        text, reasoning, end = list[str](), list[str](), None
        hit_failpoint("before:step.call")
        items = self._model.stream(request)
        try:
            async for item in items:
                if isinstance(item, End):
                    end = item
                    break
                text.append(item.text)
                reasoning.append(item.reasoning)
                yield item
        except Unavailable as error:
            if not text:
                raise
            facts = {name: fact for name, fact in error.facts.items() if name != "reason"}
            raise Unavailable(error.detail, **facts, begun=True) from error
        finally:
            if isinstance(items, AsyncGenerator):
                await items.aclose()
        if end is not None:
            hit_failpoint("after:step.call")
            said, thought = "".join(text), "".join(reasoning)
            result = ModelResult(text=said, reasoning=thought, stop=end.stop, calls=end.calls, usage=end.usage)
            await self._journal.finish_step(step, result)
            yield end


async def _replay_model_result(result: str) -> AsyncGenerator[Delta | End, None]:
    said = msgspec.json.decode(result, type=ModelResult)
    if said.text or said.reasoning:
        yield Delta(said.text, said.reasoning)
    yield End(said.stop, said.calls, said.usage)


def hash_step_request(*parts: str) -> str:
    """What was asked, in few characters."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]
