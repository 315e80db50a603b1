"""The only place that calls a chat model."""

import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from copy import copy
from functools import partial
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from nexus.domain.core.errors import Unavailable
from nexus.domain.core.instants import Clock
from nexus.domain.models.model import Answer, Spent, Unparseable
from nexus.domain.models.rules import (
    REPAIRS,
    Backoff,
    find_truncation_reason,
    make_answer_schema,
    make_repair_request,
    make_schema_name,
    parse_answer,
)
from nexus.domain.ports.models import DEFAULT, ChatModel, Delta, End, ModelCatalog, ModelRequest, StopReason

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]


class Models:
    """Asks the chat model: tries again where that is honest, and turns text into typed answers."""

    def __init__(
        self,
        *,
        catalog: ModelCatalog,
        clock: Clock,
        sleep: Sleep,
        jitter: Callable[[], float] = random.random,
        backoff: Backoff = Backoff(),
    ) -> None:
        self._catalog, self._model = catalog, catalog.get_model(DEFAULT)
        self._begin_tries = partial(_Tries, backoff=backoff, clock=clock, sleep=sleep, jitter=jitter)

    @property
    def name(self) -> str:
        """The model that answers, as its provider knows it."""
        return self._model.name

    def with_model(self, name: str) -> "Models":
        """The same, where another model answers. InvalidInput when there is none of this name."""
        return self if name == DEFAULT else self.with_model_view(lambda _: self._catalog.get_model(name))

    def with_model_view(self, wrap: Callable[[ChatModel], ChatModel]) -> "Models":
        """The same, over another view of its model: a journal's."""
        other = copy(self)
        other._model = wrap(self._model)
        return other

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | End, None]:
        """The answer as it comes: Deltas, then one End. Unavailable is tried again only while nothing has been shown."""
        tries = self._begin_tries()
        while True:
            shown = False
            try:
                async with _close_stream_on_exit(self._model.stream(request)) as items:
                    async for item in items:
                        shown = True
                        yield item
                return
            except Unavailable as problem:
                if shown:
                    raise
                await tries.wait_for_next_try(problem)

    async def ask_for_struct(
        self, kind: type[T], request: ModelRequest, *, check: Callable[[T], None] | None = None
    ) -> Answer[T]:
        """An answer of this kind, a Struct; the schema is set here. A text that does not fit goes back to the model with what is
        wrong with it, three times at most; `check` raises ValueError for what no schema can say. Unparseable when none fits, or when
        the answer was cut off."""
        question = replace(request, schema=make_answer_schema(kind), schema_name=make_schema_name(request.purpose))
        asked, spent, wrong = question, Spent(), ""
        for repairs in range(REPAIRS + 1):
            said = await self._stream_whole(asked)
            spent = spent.add_usage(said.spent)
            if (cut := find_truncation_reason(request.purpose, said.stop)) is not None:
                raise Unparseable(cut, reason=said.stop, spent=spent)
            try:
                value = parse_answer(kind, said.text)
                if check is not None:
                    check(value)
                return Answer(value=value, spent=spent, repairs=repairs)
            except ValueError as problem:
                wrong = str(problem)[:300]
                asked = make_repair_request(question, said.text, wrong)
        detail = f"The model's answer for {request.purpose} was not usable after {REPAIRS + 1} tries: {wrong}"
        raise Unparseable(detail, reason="invalid", spent=spent)

    async def _stream_whole(self, request: ModelRequest) -> "_WholeAnswer":
        """The answer in one piece. Nobody saw its beginning, so one that breaks off is asked for again: what it cost is unknown."""
        tries, spent = self._begin_tries(), Spent()
        while True:
            text: list[str] = []
            begun = False
            try:
                async with _close_stream_on_exit(self._model.stream(request)) as items:
                    async for item in items:
                        begun = True
                        if isinstance(item, End):
                            return _WholeAnswer(
                                "".join(text), item.stop, spent.add_usage(Spent.add_call_usage(item.usage))
                            )
                        text.append(item.text)
                raise Unavailable("The answer of the model broke off.")
            except Unavailable as problem:
                if begun:
                    spent = spent.add_usage(Spent.add_call_usage(None))
                await tries.wait_for_next_try(problem)


class _WholeAnswer(NamedTuple):
    text: str
    stop: StopReason
    spent: Spent


class _Tries:
    """Counts the tries of one question, and waits between them."""

    def __init__(self, *, backoff: Backoff, clock: Clock, sleep: Sleep, jitter: Callable[[], float]) -> None:
        self._backoff, self._clock, self._sleep, self._jitter = backoff, clock, sleep, jitter
        self._tried, self._deadline = 0, clock() + backoff.within

    async def wait_for_next_try(self, problem: Unavailable) -> None:
        """Waits until the next try is due; raises the problem where there is to be none."""
        self._tried += 1
        pause = self._backoff.compute_retry_pause(problem, tried=self._tried, jitter=self._jitter())
        if pause is None or self._clock() + pause > self._deadline:
            raise problem
        await self._sleep(pause)


@asynccontextmanager
async def _close_stream_on_exit(items: AsyncIterator[Delta | End]) -> AsyncIterator[AsyncIterator[Delta | End]]:
    """Closes a model's stream at once when its reader leaves: the port promises an iterator, generators need telling."""
    try:
        yield items
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()
