"""A chat model that says what it was told to say, and a machine that runs the models that it was given."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncGenerator, Iterable, Mapping

from msgspec import Struct

from nexus.domain.core.errors import InvalidInput, NexusError
from nexus.domain.ports.models import Delta, End, LocalModel, ModelRequest, StopReason, ToolCall, Usage


class Gate:
    """Holds a turn where it stands: `reached` is set when the model comes to it, `opened` lets it go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def passed(self) -> None:
        self.reached.set()
        await self.opened.wait()


Piece = str | Delta | ToolCall | Gate | NexusError


class Turn(Struct, frozen=True):
    """One answer: text as Deltas, calls kept for the End, a gate to wait at, an error to break off with.

    Without `stop` it is what the pieces say; `usage=None` is a provider that does not count.
    """

    pieces: tuple[Piece, ...] = ()
    stop: StopReason | None = None
    usage: Usage | None = Usage(input_tokens=10, output_tokens=5)


def turn(*pieces: Piece) -> Turn:
    return Turn(pieces=pieces)


class ScriptedModel:
    """A ChatModel of given turns: those of the request's purpose if it has any, else the ones for all, each said once.

    `requests` are the ones it saw, `open` counts answers under way. Beyond its script it refuses with InvalidInput.
    """

    def __init__(
        self,
        *turns: Turn | str,
        by_purpose: Mapping[str, Iterable[Turn | str]] | None = None,
        name: str = "scripted",
    ) -> None:
        self.requests: list[ModelRequest] = []
        self.open = 0
        self._name = name
        self._turns = deque(_turn(said) for said in turns)
        self._by_purpose: dict[str, deque[Turn]] = defaultdict(deque)
        for purpose, queue in (by_purpose or {}).items():
            self.add(*queue, purpose=purpose)

    @property
    def name(self) -> str:
        return self._name

    def add(self, *turns: Turn | str, purpose: str | None = None) -> None:
        """More turns, behind those not said yet."""
        queue = self._turns if purpose is None else self._by_purpose[purpose]
        queue.extend(_turn(said) for said in turns)

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | End, None]:
        self.requests.append(request)
        said = self._next(request.purpose)
        calls: list[ToolCall] = []
        self.open += 1
        try:
            for piece in said.pieces:
                if isinstance(piece, ToolCall):
                    calls.append(piece)
                elif isinstance(piece, Gate):
                    await piece.passed()
                elif isinstance(piece, NexusError):
                    raise piece
                else:
                    yield Delta(piece) if isinstance(piece, str) else piece
            yield End(stop=said.stop or ("tool_calls" if calls else "end"), calls=tuple(calls), usage=said.usage)
        finally:
            self.open -= 1

    def _next(self, purpose: str) -> Turn:
        queue = self._by_purpose.get(purpose) or self._turns
        if not queue:
            raise InvalidInput(f"The script has no turn left for {purpose}.")
        return queue.popleft()


def _turn(said: Turn | str) -> Turn:
    return turn(said) if isinstance(said, str) else said


class MemoryDiscovery:
    """A ModelDiscovery of given servers."""

    def __init__(self, *servers: LocalModel) -> None:
        self._servers = servers

    async def find_local_models(self) -> list[LocalModel]:
        return list(self._servers)
