"""Where the functions of the library run: beside the event loop, and where a text is long in a process that can be ended."""

import asyncio
import contextlib
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from nexus.domain.core.errors import Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.tools.calls import Answer, Call
from nexus.domain.tools.model import ToolError

LONG = 16_384
"""Characters of arguments from which on a call gets a process of its own: what it costs to start one is little beside such a text."""

THREADS, PROCESSES, MOST_LOST = 4, 2, 8
_START = "import sys; sys.path[:0] = sys.argv[1:2]; from nexus.domain.tools.calls import answer_tool_call; answer_tool_call()"
_SOURCES = str(Path(__file__).parents[3])

Function = Callable[..., Mapping[str, Any]]


class Workers:
    """Runs functions that cannot be cancelled, so many at once; what overruns its time keeps nobody else waiting."""

    def __init__(self, *, threads: int = THREADS, processes: int = PROCESSES) -> None:
        self._count, self._threads = threads, ThreadPoolExecutor(threads, "tools")
        self._places = asyncio.Semaphore(processes)
        self._lost = 0

    async def run_function(
        self, function: Function, arguments: Mapping[str, Any], given: Mapping[str, Any] = {}, *, seconds: float
    ) -> JSON:
        """What a function at the top of a module answers; what it is `given` beside its arguments stays in this process. Raises what the
        function does (RuntimeError for what broke in a process of its own), and Unavailable after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                if count_value_characters(arguments) > LONG and not given:
                    return await self._run_in_process(function, arguments)
                return dict(await self._run_in_thread(function, {**arguments, **given}))
        except TimeoutError:
            raise Unavailable(f"{function.__name__} did not finish within {seconds:g} seconds.") from None

    async def _run_in_thread(self, function: Function, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        running = self._threads.submit(function, **arguments)
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if not running.cancel() and not running.done():
                self._replace_thread_pool()
                running.add_done_callback(self._decrement_lost_threads)
            raise

    def _replace_thread_pool(self) -> None:
        """The pool is left to the one that does not end, and ends with it; only so many may be lost at a time."""
        self._lost += 1
        if self._lost <= MOST_LOST:
            pool, self._threads = self._threads, ThreadPoolExecutor(self._count, "tools")
            pool.shutdown(wait=False)

    def _decrement_lost_threads(self, _: object) -> None:
        self._lost -= 1

    async def _run_in_process(self, function: Function, arguments: Mapping[str, Any]) -> JSON:
        call = Call(function.__module__, function.__name__, dict(arguments))
        try:
            asked = msgspec.json.encode(call)
        except UnicodeEncodeError:
            raise ToolError("The text holds characters that are none.") from None
        async with self._places:
            answer = await _call_in_subprocess(asked)
        if answer.refusal is not None:
            raise ToolError(answer.refusal)
        if answer.failure is not None:
            raise RuntimeError(answer.failure)
        return answer.value


def count_value_characters(value: object) -> int:
    """How many characters of text a value holds, a place in a list counted as one."""
    open_values, size = [value], 0
    while open_values:
        match open_values.pop():
            case str(text):
                size += len(text)
            case Mapping() as entries:
                size += sum(len(str(name)) for name in entries) + len(entries)
                open_values.extend(entries.values())
            case list() | tuple() as items:
                size += len(items)
                open_values.extend(items)
    return size


async def _call_in_subprocess(asked: bytes) -> Answer:
    """One call in a fresh process, which is gone when this returns, however it does."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", _START, _SOURCES, env={},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        said, _ = await process.communicate(asked)
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await asyncio.shield(process.wait())
    try:
        return msgspec.json.decode(said, type=Answer)
    except msgspec.MsgspecError:
        return Answer(failure=f"its process ended with {process.returncode}")
