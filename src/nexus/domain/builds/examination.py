"""What is tried of a package: its unit tests and its behavioural cases. A build does it, and whoever has the folder of an agent."""

import tomllib
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec import Struct

from nexus.domain.agents.package import Package
from nexus.domain.builds.acceptance import CaseResult
from nexus.domain.builds.outputs import Case
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.code import CodeRunner, Limits, TestResult
from nexus.domain.runtime.model import AgentSpec, Answer
from nexus.domain.runtime.steps import TookTooLong

CASES = "tests/cases.toml"
TEST_LIMITS = Limits(seconds=30.0)
REFUSED = (400, 413, 422)
"""What a provider answers to a request that it will not have: the agent's prompt or tools are to blame."""

Converse = Callable[[AgentSpec, str], Awaitable[Answer]]
"""What an agent answers to a text."""


class CaseFile(Struct, frozen=True):
    cases: list[Case] = []


def parse_test_cases(found: Package) -> Sequence[Case]:
    """The behavioural cases in a package's files; none without the file. InvalidInput for what is malformed in it."""
    try:
        return msgspec.convert(tomllib.loads(found.files.get(CASES, "")), CaseFile).cases
    except (
        ValueError,
        RecursionError,
    ) as error:  # of TOML and of its fit, and of a number or a nesting beyond all bounds
        raise InvalidInput(f"{CASES}: {str(error)[:500]}") from error


async def run_unit_tests(code: CodeRunner, found: Package) -> tuple[list[TestResult], list[str]]:
    """The results of a package's `tests/test_*.py`, and what kept them from being run."""
    outcome, tests = await code.run_tests(found.python_program, limits=TEST_LIMITS)
    return tests, [] if outcome.status == "ok" else [f"unit tests: {outcome.error or outcome.status}"]


async def run_test_case(converse: Converse, spec: AgentSpec, case: Case) -> CaseResult:
    """What the agent makes of a case. What the model's provider cannot be blamed for fails the case; other errors are raised."""
    try:
        answer = await converse(spec, case.input)
    except (InvalidInput, TookTooLong) as error:
        if isinstance(error, InvalidInput) and error.facts.get("status") not in REFUSED:
            raise
        return CaseResult(case=case, passed=False, problem=error.detail, answer="")
    problem = _find_case_failure(case, answer)
    return CaseResult(case=case, passed=problem is None, problem=problem, answer=answer.text[:2000])


def _find_case_failure(case: Case, answer: Answer) -> str | None:
    called, said = {call.name for call in answer.calls}, answer.text.casefold()
    wrong = [f"{name} was not called" for name in case.calls if name not in called]
    wrong += [f"the reply lacks {text!r}" for text in case.contains if text.casefold() not in said]
    wrong += [f"{result.name} failed: {result.result[:200]}" for result in answer.results if not result.ok]
    return "; ".join(wrong) or None
