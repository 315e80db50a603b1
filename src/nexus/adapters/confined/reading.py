"""Foreign source is parsed in a process of its own, which ends when it takes too long: nothing can cancel a parser."""

import asyncio
import hashlib
import json
import signal
import tempfile
from pathlib import Path

import msgspec
from msgspec import Struct

from nexus.adapters.confined.process import start_python_process
from nexus.domain.core.errors import InvalidInput, Unavailable
from nexus.domain.ports.models import ToolSpec
from nexus.domain.tools.signatures import LONGEST_SOURCE

_READER = Path(__file__).parent / "inside" / "reader.py"
_MOST_KNOWN = 512
_LONGEST_ANSWER = 1_000_000
_SECONDS = 30.0
"""Of waiting, on a machine that has no time: the process itself may use the processor for far less."""


class _Answer(Struct, frozen=True):
    spec: ToolSpec | None = None
    wrong: str | None = None


class SourceReader:
    """Two at a time; what was read once is known."""

    def __init__(self, script: Path = _READER) -> None:
        self._script = script
        self._places = asyncio.Semaphore(2)
        self._known: dict[str, ToolSpec] = {}

    async def parse_tool_spec(self, source: str, function: str) -> ToolSpec:
        if len(source) > LONGEST_SOURCE:
            raise InvalidInput(f"The source of {function} is longer than {LONGEST_SOURCE} characters.")
        digest = hashlib.sha256(json.dumps([function, source]).encode()).hexdigest()
        if digest not in self._known:
            async with self._places:
                found = await self._parse_in_subprocess(source, function)
            while len(self._known) >= _MOST_KNOWN:
                del self._known[next(iter(self._known))]
            self._known[digest] = found
        return self._known[digest]

    async def _parse_in_subprocess(self, source: str, function: str) -> ToolSpec:
        asked = json.dumps({"source": source, "function": function}).encode()
        try:
            async with (
                asyncio.timeout(_SECONDS),
                start_python_process(Path(tempfile.gettempdir()), self._script) as process,
            ):
                out, problem = await process.communicate(asked)
        except TimeoutError:
            raise Unavailable(f"The source of {function} was not read within {_SECONDS:g} s.", part="code") from None
        if process.returncode == -signal.SIGXCPU:
            raise InvalidInput(f"The source of {function} cannot be read: it takes the parser too long.")
        if process.returncode or len(out) > _LONGEST_ANSWER:
            last = (
                problem.decode(errors="replace").strip().rpartition("\n")[2][:200] or f"exit code {process.returncode}"
            )
            raise InvalidInput(f"The source of {function} cannot be read: {last}.")
        answer = msgspec.json.decode(out, type=_Answer)
        if answer.spec is None:
            raise InvalidInput(answer.wrong or f"The source of {function} cannot be read.")
        return answer.spec
