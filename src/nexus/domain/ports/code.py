"""Generated code, run where it can harm nobody."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from msgspec import Struct

from nexus.domain.core.values import JSON
from nexus.domain.ports.models import ToolSpec

TESTS = "tests/"
"""What lies below is for the judge of a program: what the program's own code runs in never holds it."""


class Limits(Struct, frozen=True):
    """What one run may use. Exceeding one ends the run with the limit's name as `Outcome.status`."""

    seconds: float = 10.0
    memory_mb: int = 512
    output_bytes: int = 262_144


class Program(Struct, frozen=True):
    """Python source files by relative POSIX path (`tools/vat.py`, `tests/test_vat.py`). No other packages than the standard library."""

    files: Mapping[str, str]


class Outcome(Struct, frozen=True):
    """How a run ended. `value` is JSON; `error` says what went wrong in the program's own words, shortened, no server paths."""

    status: Literal["ok", "raised", "timed_out", "out_of_memory", "too_much_output", "crashed"]
    value: Any = None
    error: str | None = None
    output: str = ""
    seconds: float = 0.0


class TestResult(Struct, frozen=True):
    """One test function (`tests/test_vat.py::test_zero`) and, where it failed, why."""

    __test__ = False

    name: str
    passed: bool
    error: str | None = None
    seconds: float = 0.0


class Tier(Struct, frozen=True):
    """The boundary in force: level 0 none (nothing is run), 1 none that confines (fakes for tests), 2 Landlock under the server's own user,
    3 under a user of its own, 4 namespaces; and a sentence on how it is made."""

    level: int
    name: str
    detail: str


class CodeRunner(Protocol):
    """Runs untrusted code without network, without the server's files, memory or environment. Raises Unavailable at level 0."""

    def get_isolation_tier(self) -> Tier:
        """The boundary that is in force now."""
        ...

    async def parse_tool_spec(self, source: str, function: str) -> ToolSpec:
        """What `function` of a source text takes and is for. The source is parsed, never run, in a process of its own with little time
        and memory, at level 0 too. InvalidInput says what is wrong with it, also where it took the parser more than that."""
        ...

    async def call_function(
        self, program: Program, function: str, arguments: JSON, *, limits: Limits = Limits()
    ) -> Outcome:
        """Calls `function` (`tools/vat.py:vat`) with keyword arguments. A fresh process each time, without the tests; cancelling kills it."""
        ...

    async def run_tests(self, program: Program, *, limits: Limits = Limits()) -> tuple[Outcome, list[TestResult]]:
        """Runs every `test_*` function of every `tests/test_*.py`: plain asserts, `with raises(Error):` from `pytest` works.

        The tests run apart from the code that they test. What they import from the rest of the program are its functions, called with JSON
        and answering JSON, its exceptions by name, and plain values: what is tested can neither see nor change what it is held against."""
        ...
