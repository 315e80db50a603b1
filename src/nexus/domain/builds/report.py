"""What verification found, the verdict that follows, and the report for people."""

from collections.abc import Sequence

from msgspec import Struct, structs

from nexus.domain.agents.model import Verdict
from nexus.domain.builds.acceptance import CaseResult, RequirementResult, decide_agent_verdict
from nexus.domain.builds.documents import Page, format_markdown_table, translate_label
from nexus.domain.builds.outputs import Language, PlannedAgent
from nexus.domain.core.texts import make_single_line
from nexus.domain.ports.code import TestResult


class Findings(Struct, frozen=True, kw_only=True):
    """Everything that was looked at for one agent."""

    model: str
    boundary: str
    problems: list[str]
    tests: list[TestResult]
    cases: list[CaseResult]
    requirements: list[RequirementResult]

    @property
    def failed_cases(self) -> list[CaseResult]:
        return [found for found in self.cases if not found.passed]

    @property
    def failed_tests(self) -> list[TestResult]:
        return [found for found in self.tests if not found.passed]


class Verified(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Stage `verification`, per agent. `unmet` has a line for each requirement that is not met, with its id, title and reason. `passed` is
    what results say that were stored before there were three verdicts."""

    verdict: Verdict = "failed"
    tests_run: int
    tests_passed: int
    reason: str = ""
    unmet: list[str] = []
    requirements: list[RequirementResult] = []
    passed: bool | None = None

    def __post_init__(self) -> None:
        if self.passed is not None:
            structs.force_setattr(self, "verdict", "passed" if self.passed else "failed")


def summarize_findings(findings: Findings) -> Verified:
    run = len(findings.tests) + len(findings.cases)
    bad = len(findings.failed_tests) + len(findings.failed_cases)
    usable = not findings.problems and not findings.failed_tests
    unmet = [entry.summary_line for entry in findings.requirements if not entry.met]
    broken = [*findings.problems, *(f"{test.name}: {test.error}" for test in findings.failed_tests)]
    wrong = [f"{found.case.name}: {found.problem}" for found in findings.failed_cases]
    return Verified(
        verdict=decide_agent_verdict(findings.requirements, usable=usable, clean=not findings.failed_cases),
        tests_run=run,
        tests_passed=run - bad,
        reason="; ".join([*broken, *(unmet or wrong)])[:2000],
        unmet=unmet,
        requirements=findings.requirements,
    )


def summarize_build_results(found: Sequence[Verified]) -> dict[str, object]:
    """What a build comes to in numbers. A requirement is met when it is for every agent that is responsible for it."""
    entries = [entry for one in found for entry in one.requirements]
    missed = {entry.id for entry in entries if not entry.met}
    functional = {entry.id for entry in entries if entry.id.startswith("FR-")}
    return {
        "tests_run": sum(one.tests_run for one in found),
        "tests_passed": sum(one.tests_passed for one in found),
        "verdict": _decide_build_verdict(found, functional, missed),
        "requirements_met": len(functional - missed),
        "requirements_total": len(functional),
        "unmet": list(dict.fromkeys(line for one in found for line in one.unmet)),
    }


def _decide_build_verdict(found: Sequence[Verified], functional: set[str], missed: set[str]) -> Verdict:
    """Of a build. One agent that cannot be used, or does nothing that was asked for, leaves others that can: that is partial."""
    verdicts = {one.verdict for one in found}
    if verdicts == {"passed"}:
        return "passed"
    return "failed" if verdicts == {"failed"} or not functional - missed else "partial"


def format_verdict_line(found: Verified, say: Language) -> str:
    """The verdict in a line: how much is met, and what is not."""
    functional = [entry for entry in found.requirements if entry.id.startswith("FR-")]
    met = f"{sum(entry.met for entry in functional)}/{len(functional)}"
    tests = f"{found.tests_passed}/{found.tests_run}"
    told = f"{translate_label(found.verdict, say)}: {translate_label('met', say)} {met}, {translate_label('tests', say)} {tests}"
    missed = ", ".join(f"{entry.id} {entry.title}" for entry in found.requirements if not entry.met)
    return make_single_line(f"{told}; {translate_label('not_met', say)}: {missed}" if missed else told)


def format_verification_report(agent: PlannedAgent, findings: Findings, found: Verified, say: Language) -> str:
    cases = [(one.passed, f"{one.case.name}: {one.case.input[:120]!r}", one.problem) for one in findings.cases]
    heads = [translate_label(key, say) for key in ("requirement_head", "cases", "result")]
    rows = [
        [
            f"{entry.id} {entry.title}",
            ", ".join(f"`{name}`" for name in entry.cases) or "—",
            _format_requirement_result(entry, say),
        ]
        for entry in findings.requirements
    ]
    page = Page(say, "report", agent.name)
    page.add_labeled_text("verdict", f"**{format_verdict_line(found, say)}**")
    page.add_labeled_text("model_note", f"`{findings.model}`")
    page.add_labeled_text("boundary", findings.boundary)
    page.add_section("requirements", format_markdown_table(heads, rows))
    page.add_section("unit_tests", (_format_result_line(test.passed, test.name, test.error) for test in findings.tests))
    page.add_section("checks", findings.problems)
    page.add_section("cases", (_format_result_line(*case) for case in cases))
    page.add_section("unmet", found.unmet)
    return page.markdown_text


def _format_requirement_result(entry: RequirementResult, say: Language) -> str:
    return f"✔ {translate_label('met', say)}" if entry.met else f"✘ {translate_label('not_met', say)}: {entry.reason}"


def _format_result_line(passed: bool, name: str, problem: str | None) -> str:
    return f"✔ {name}" if passed else f"✘ {name}: {problem}"
