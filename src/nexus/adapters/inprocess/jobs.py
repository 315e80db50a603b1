"""Two lanes in this process: interactive jobs start at once, background jobs wait for one of a few places."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import NamedTuple, Self

from nexus.domain.ports.jobs import Job
from nexus.jobs.registry import SPECS
from nexus.jobs.runner import encode

Run = Callable[[bytes], Awaitable[object]]


class _Waiting(NamedTuple):
    key: str
    body: bytes


class _Order:
    """What waits: the highest priority first; within one, the groups in turn; within a group, as it came."""

    def __init__(self) -> None:
        self._groups: dict[int, OrderedDict[str, deque[_Waiting]]] = {}
        self.keys = set[str]()

    def push(self, waiting: _Waiting, priority: int, group: str) -> None:
        self._groups.setdefault(priority, OrderedDict()).setdefault(group, deque()).append(waiting)
        self.keys.add(waiting.key)

    def pop(self) -> _Waiting | None:
        for priority in sorted(self._groups, reverse=True):
            groups = self._groups[priority]
            while groups:
                group, line = groups.popitem(last=False)
                waiting = line.popleft()
                if line:
                    groups[group] = line
                if waiting.key in self.keys:
                    self.keys.discard(waiting.key)
                    return waiting
            del self._groups[priority]
        return None


class InProcessJobs:
    """A JobQueue whose jobs live and die with `async with`. Both lanes run the bytes that a queue between processes would carry."""

    def __init__(self, *, places: int = 4, interactive: int = 1000) -> None:
        self._free, self._interactive = places, interactive
        self._waiting = _Order()
        self._running: dict[str, asyncio.Task[None]] = {}
        self._background = set[str]()
        self._run: Run | None = None
        self._closed = False

    def serve(self, run: Run) -> None:
        """From now on jobs are run; what was enqueued before starts."""
        self._run = run
        self._start_waiting()

    async def enqueue(self, job: Job, *, key: str, priority: int = 3, group: str = "") -> None:
        if key in self._running or key in self._waiting.keys or self._closed:
            return
        if SPECS[type(job)].lane == "interactive" and self._run:
            self._start(self._run, _Waiting(key, encode(job)), background=False)
            return
        self._waiting.push(_Waiting(key, encode(job)), priority, group)
        self._start_waiting()

    def has_room(self, job: type[Job]) -> bool:
        if SPECS[job].lane == "background":
            return not self._closed
        return not self._closed and len(self._running) - len(self._background) < self._interactive

    def cancel(self, key: str) -> bool:
        if task := self._running.get(key):
            return task.cancel()
        waits = key in self._waiting.keys
        self._waiting.keys.discard(key)
        return waits

    def _start_waiting(self) -> None:
        while self._run and self._free and not self._closed and (waiting := self._waiting.pop()):
            self._free -= 1
            self._start(self._run, waiting, background=True)

    def _start(self, run: Run, waiting: _Waiting, *, background: bool) -> None:
        key, body = waiting

        async def ran() -> None:
            await run(body)

        def ended(_: asyncio.Task[None]) -> None:
            del self._running[key]
            self._background.discard(key)
            if background:
                self._free += 1
                self._start_waiting()

        self._running[key] = task = asyncio.ensure_future(ran())
        if background:
            self._background.add(key)
        task.add_done_callback(ended)

    async def settled(self) -> None:
        """Waits until nothing runs or waits here."""
        while self._running:
            await asyncio.wait(self._running.values())

    async def drain(self, within: float) -> None:
        """Takes no more jobs. Background jobs are cancelled at once: they hand their work back; interactive ones have some seconds
        before they are."""
        self._closed = True
        await self._cancelled([task for key, task in self._running.items() if key in self._background])
        if self._running and within > 0:
            await asyncio.wait(self._running.values(), timeout=within)
        await self._cancelled(list(self._running.values()))

    async def _cancelled(self, tasks: Sequence[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        await self._cancelled(list(self._running.values()))
