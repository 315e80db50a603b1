"""What the tests and cases of a package come to, line by line."""

from pathlib import Path

from msgspec import Struct

from nexus.cli.exits import FAILED, OK, USAGE, Ended
from nexus.cli.output import Output
from nexus.cli.terminal import truncate_to_one_line
from nexus.domain.builds.acceptance import CaseResult
from nexus.domain.builds.examination import CASES, parse_test_cases, run_test_case, run_unit_tests
from nexus.domain.builds.outputs import Case
from nexus.domain.ports.code import TestResult
from nexus.domain.ports.models import ChatMessage
from nexus.domain.runtime.model import AgentSpec, Answer
from nexus.settings import Settings
from nexus.standalone import OpenAgent, open_standalone_agent


class Tried(Struct, frozen=True, kw_only=True):
    """`requirements`: by id, whether all of its cases passed; `good`: everything did."""

    model: str
    tests: list[TestResult]
    problems: list[str]
    cases: list[CaseResult]
    requirements: dict[str, bool]
    good: bool


async def run_package_tests(output: Output, directory: Path, settings: Settings) -> int:
    """Runs what the folder holds of tests and cases. Ended when it holds none."""
    async with open_standalone_agent(directory, settings) as agent:
        cases = parse_test_cases(agent.package)
        tests, problems = list[TestResult](), list[str]()
        if has_tests := any(path.startswith("tests/test_") for path in agent.package.python_program.files):
            tests, problems = await run_unit_tests(agent.code, agent.package)
        if not (has_tests or cases):
            raise Ended(USAGE, f"{directory} holds no tests/test_*.py and no {CASES}: there is nothing to run.")
        for test in tests:
            _print_test_result(output, test.passed, test.name, test.error)
        results = [await _run_and_print_case(output, agent, case) for case in cases]
    tried = _make_test_summary(agent.model, tests, problems, results)
    if output.json:
        output.write_json_document(tried)
    else:
        _print_test_summary(output, tried)
    return OK if tried.good else FAILED


async def _run_and_print_case(output: Output, agent: OpenAgent, case: Case) -> CaseResult:
    async def converse(spec: AgentSpec, said: str) -> Answer:
        return await agent.runtime.collect_answer(spec, [ChatMessage("user", said)])

    found = await run_test_case(converse, agent.spec, case)
    exercised = f" ({', '.join(found.case.requirements)})" if found.case.requirements else ""
    _print_test_result(output, found.passed, f"{found.case.name}{exercised}: {found.case.input}", found.problem)
    return found


def _print_test_result(output: Output, passed: bool, what: str, problem: str | None) -> None:
    if not output.json:
        output.write_check_result(
            passed, truncate_to_one_line(what), truncate_to_one_line(problem, 500) if problem else None
        )
        output.flush()


def _make_test_summary(model: str, tests: list[TestResult], problems: list[str], cases: list[CaseResult]) -> Tried:
    ids = sorted({one for found in cases for one in found.case.requirements})
    return Tried(
        model=model,
        tests=tests,
        problems=problems,
        cases=cases,
        requirements={one: all(found.passed for found in cases if one in found.case.requirements) for one in ids},
        good=not problems and all(test.passed for test in tests) and all(found.passed for found in cases),
    )


def _print_test_summary(output: Output, tried: Tried) -> None:
    for problem in tried.problems:
        output.write_check_result(False, problem)
    for one, is_met in tried.requirements.items():
        output.write_check_result(is_met, f"{one}: {'met' if is_met else 'not met'}")
    passed = [*(test.passed for test in tried.tests), *(found.passed for found in tried.cases)]
    output.write_line(f"{sum(passed)} of {len(passed)} passed (model: {tried.model}).")
