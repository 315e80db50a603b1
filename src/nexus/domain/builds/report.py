"""What verification found, the verdict that follows, and the report for people."""

from msgspec import Struct

from nexus.domain.agents.model import Verdict
from nexus.domain.builds.documents import listed, word
from nexus.domain.builds.outputs import Architecture, Case, Language, PlannedAgent, Unmet
from nexus.domain.ports.code import TestResult


class CaseResult(Struct, frozen=True, kw_only=True):
    case: Case
    passed: bool
    problem: str | None
    answer: str


class Findings(Struct, frozen=True, kw_only=True):
    """Everything that was looked at for one agent."""

    model: str
    boundary: str
    problems: list[str]
    tests: list[TestResult]
    cases: list[CaseResult]
    unmet: list[Unmet]

    @property
    def failed_cases(self) -> list[CaseResult]:
        return [found for found in self.cases if not found.passed]


class Verified(Struct, frozen=True, kw_only=True):
    """Stage `verification`, per agent."""

    verdict: Verdict
    tests_run: int
    tests_passed: int
    reason: str = ""
    unmet: list[str] = []


def verdict(findings: Findings, architecture: Architecture) -> Verified:
    """Failed when something that was looked at failed, or the agent can do nothing at all; partial when a requirement is not met."""
    run = len(findings.tests) + len(findings.cases)
    good = sum(test.passed for test in findings.tests) + sum(case.passed for case in findings.cases)
    idle = bool(findings.unmet) and not any(
        agent.library_tools or agent.new_tools or agent.calls for agent in architecture.agents
    )
    failed = good < run or bool(findings.problems) or idle
    reason = "; ".join(
        [
            *findings.problems,
            *(f"{test.name}: {test.error}" for test in findings.tests if not test.passed),
            *(f"{found.case.name}: {found.problem}" for found in findings.failed_cases),
            *(f"{entry.requirement_id}: {entry.reason}" for entry in findings.unmet if idle),
        ]
    )
    return Verified(
        verdict="failed" if failed else "partial" if findings.unmet else "passed",
        tests_run=run,
        tests_passed=good,
        reason=reason[:2000],
        unmet=[f"{entry.requirement_id}: {entry.reason}" for entry in findings.unmet],
    )


def line(found: Verified, say: Language) -> str:
    return f"{word(found.verdict, say)}: {found.tests_passed}/{found.tests_run}"


def text(agent: PlannedAgent, findings: Findings, verified: Verified, say: Language) -> str:
    tests = [_mark(test.passed, test.name, test.error) for test in findings.tests]
    cases = [
        _mark(found.passed, f"{found.case.name}: {found.case.input[:120]!r}", found.problem) for found in findings.cases
    ]
    return f"""# {word("report", say)}: {agent.name}

{word("verdict", say)}: **{line(verified, say)}**

{word("model_note", say)}: `{findings.model}`

{word("boundary", say)}: {findings.boundary}

## {word("unit_tests", say)}

{listed(tests, say)}

## {word("checks", say)}

{listed(findings.problems, say)}

## {word("cases", say)}

{listed(cases, say)}

## {word("unmet", say)}

{listed(verified.unmet, say)}
"""


def _mark(passed: bool, name: str, problem: str | None) -> str:
    flat = " ".join(name.split())
    return f"✔ {flat}" if passed else f"✘ {flat}: {problem}"
