"""What shows that a requirement is met: rules on what the stages plan, and the count of what verification saw. Pure.

The checks raise ValueError with what is to be mended: a model is told so and answers again."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from nexus.domain.agents.model import Verdict
from nexus.domain.builds.outputs import Architecture, Case, Design, Duty, PlannedAgent, Requirement, Requirements
from nexus.domain.core.texts import is_cjk


class CaseResult(Struct, frozen=True, kw_only=True):
    case: Case
    passed: bool
    problem: str | None
    answer: str


class RequirementResult(Struct, frozen=True, kw_only=True):
    """Whether a requirement is met, by which cases of an agent one sees it, and why it is not."""

    id: str
    title: str
    cases: list[str]
    met: bool
    reason: str = ""

    @property
    def summary_line(self) -> str:
        return f"{self.id} {self.title}: {self.reason}"


def check_requirement_ids(found: Requirements) -> None:
    _check_no_duplicates("ids stand twice", [entry.id for entry in (*found.functional, *found.nonfunctional)])


def list_unique_keywords(entry: Requirement, functional: Sequence[Requirement]) -> list[str]:
    """The keywords that tell a functional requirement from the others: those that its own text has and no other one names."""
    shared = {word.casefold() for other in functional if other.id != entry.id for word in other.keywords}
    text = _join_requirement_texts(entry)
    return [word for word in entry.keywords if is_word_in_text(word, text) and word.casefold() not in shared]


def list_unique_words(functional: Sequence[Requirement]) -> dict[str, set[str]]:
    """By requirement, the words of its text that no other one has."""
    words = {entry.id: _extract_words(_join_requirement_texts(entry)) for entry in functional}
    often = Counter(word for found in words.values() for word in found)
    return {one: {word for word in found if often[word] == 1} for one, found in words.items()}


def _join_requirement_texts(entry: Requirement) -> str:
    return "\n".join([entry.title, entry.statement, *entry.acceptance])


def _extract_words(text: str) -> set[str]:
    """Latin words and numbers, and pairs of CJK characters: where those words end, no rule tells."""
    pairs = [text[at : at + 2] for at in range(len(text) - 1) if is_cjk(text[at]) and is_cjk(text[at + 1])]
    return {*re.findall(r"[a-z]{2,}|\d+(?:[.,]\d+)*", text.casefold()), *pairs}


def is_word_in_text(word: str, text: str) -> bool:
    """Whether a text holds a word: as a whole where it is Latin, its plural too; anywhere where it is not."""
    sought = re.escape(word.strip().casefold())
    if not sought:
        return False
    whole = rf"(?<![a-z]){sought}(?:s|es)?(?![a-z])" if sought[-1:].isascii() else sought
    return re.search(whole, text.casefold()) is not None


def list_agent_duties(agent: PlannedAgent, planned: Architecture, needed: Requirements) -> dict[str, Duty]:
    """By requirement. One agent that names none has all that is not unmet, with any of its tools."""
    if agent.duties or len(planned.agents) > 1:
        return {duty.requirement: duty for duty in agent.duties}
    unmet = {entry.requirement_id for entry in planned.unmet}
    return {
        entry.id: Duty(requirement=entry.id, tools=agent.tool_names)
        for entry in needed.functional
        if entry.id not in unmet
    }


def check_agent_duties(planned: Architecture, needed: Requirements) -> None:
    """Each functional requirement is some agent's duty or unmet, never both; each agent has a duty, with tools of its own."""
    duties = {agent.slug: list_agent_duties(agent, planned, needed) for agent in planned.agents}
    known = {entry.id for entry in needed.functional}
    unmet = {entry.requirement_id for entry in planned.unmet} - {entry.id for entry in needed.nonfunctional}
    served = {one for own in duties.values() for one in own}
    _raise_problems(
        f"{', '.join(sorted(ids))}: {wrong}"
        for ids, wrong in (
            ((served | unmet) - known, f"no functional requirement; there are {', '.join(sorted(known))}"),
            (served & unmet, "both a duty and unmet"),
            (known - served - unmet, "neither a duty of an agent nor unmet"),
            ({slug for slug, own in duties.items() if not own and served}, "has no duty"),
        )
        if ids
    )
    _raise_problems(
        f"{agent.slug}: its duty {duty.requirement} names {', '.join(lacking)}; it has {', '.join(agent.tool_names) or 'no tools'}"
        for agent in planned.agents
        for duty in agent.duties
        if (lacking := sorted(set(duty.tools) - set(agent.tool_names)))
    )


def check_test_cases(made: Design, agent: PlannedAgent, planned: Architecture, needed: Requirements) -> None:
    """Each duty of the agent has a case that exercises it, and each case exercises what it says."""
    _check_no_duplicates("two cases have one name", [case.name for case in made.cases])
    duties = list_agent_duties(agent, planned, needed)
    _raise_problems(_find_test_case_problem(case, agent, duties, needed) for case in made.cases)
    _raise_problems(
        _find_coverage_problem(case, entry, duties[entry.id], keywords)
        or (
            None
            if keywords
            else _find_off_topic_problem(case, entry, _list_same_tool_requirements(entry, duties, needed))
        )
        for entry in needed.functional
        if entry.id in duties
        for keywords in [list_unique_keywords(entry, needed.functional)]
        for case in made.cases
        if entry.id in case.requirements
    )
    covered = {one for case in made.cases for one in case.requirements}
    _raise_problems(
        f"no case exercises {entry.id} ({entry.title})"
        for entry in needed.functional
        if entry.id in duties and entry.id not in covered
    )


def _find_test_case_problem(
    case: Case, agent: PlannedAgent, duties: dict[str, Duty], needed: Requirements
) -> str | None:
    if unknown := sorted(set(case.calls) - set(agent.tool_names)):
        return f"case {case.name}: the agent has no tool {', '.join(unknown)}; it has {', '.join(agent.tool_names) or 'none'}"
    possible = {*duties, *(entry.id for entry in needed.nonfunctional)}
    if duties and not case.requirements:
        return f"case {case.name} exercises no requirement: name one of {', '.join(sorted(possible))}, or leave it out"
    if strangers := sorted(set(case.requirements) - possible):
        return (
            f"case {case.name}: {', '.join(strangers)} is not for this agent, which has {', '.join(sorted(possible))}"
        )
    return None


def _find_coverage_problem(case: Case, entry: Requirement, duty: Duty, keywords: Sequence[str]) -> str | None:
    """Why a case says nothing about a requirement that it claims to exercise."""
    if duty.tools and not set(case.calls) & set(duty.tools):
        return f"case {case.name} does not exercise {entry.id}: it must call {' or '.join(duty.tools)}"
    if not case.calls and not any(part.strip() for part in case.contains):
        return f"case {case.name} does not exercise {entry.id}: any reply passes; say what it must contain"
    if keywords and not any(is_word_in_text(word, case.input) for word in keywords):
        told = ", ".join(keywords[:10])
        return f"case {case.name} does not exercise {entry.id} ({entry.title}): its input must hold one of {told}"
    return None


def _list_same_tool_requirements(
    entry: Requirement, duties: Mapping[str, Duty], needed: Requirements
) -> list[Requirement]:
    """The requirement and those that the same tools serve: for others, the tool that is called tells which is meant."""
    tools = set(duties[entry.id].tools)
    shared = {one for one, duty in duties.items() if one == entry.id or tools & set(duty.tools) or not tools}
    return [other for other in needed.functional if other.id in shared]


def _find_off_topic_problem(case: Case, entry: Requirement, rivals: Sequence[Requirement]) -> str | None:
    """Without keywords, a case is strange to a requirement when it says words of its rivals alone."""
    said, words = _extract_words(case.input), list_unique_words(rivals)
    if said & words[entry.id]:
        return None
    others = [one for one, found in words.items() if said & found and one not in case.requirements]
    return f"case {case.name} speaks of {', '.join(others)}, not of {entry.id} ({entry.title})" if others else None


def make_requirement_results(
    agent: PlannedAgent, planned: Architecture, needed: Requirements, cases: Sequence[CaseResult]
) -> list[RequirementResult]:
    """What came of each functional requirement that an agent is responsible for, and of each other one whose case failed. The agent
    that users talk to is responsible for its own duties and for all that nobody does."""
    reasons = {entry.requirement_id: entry.reason for entry in planned.unmet}
    elsewhere = {duty.requirement for other in planned.agents if other.slug != agent.slug for duty in other.duties}
    own, first = list_agent_duties(agent, planned, needed), agent.slug == planned.agents[0].slug
    mine = [entry for entry in needed.functional if entry.id in own or (first and entry.id not in elsewhere)]
    failed = {one for found in cases if not found.passed for one in found.case.requirements}
    mine += [entry for entry in needed.nonfunctional if entry.id in failed]
    return [_make_requirement_result(entry, cases, reasons.get(entry.id)) for entry in mine]


def _make_requirement_result(
    entry: Requirement, cases: Sequence[CaseResult], declared: str | None
) -> RequirementResult:
    own = [found for found in cases if entry.id in found.case.requirements]
    wrong = [f"{found.case.name}: {found.problem}" for found in own if not found.passed]
    reason = declared or "; ".join(wrong) or ("" if own else "no case exercises it")
    return RequirementResult(
        id=entry.id, title=entry.title, cases=[found.case.name for found in own], met=not reason, reason=reason[:500]
    )


def decide_agent_verdict(found: Iterable[RequirementResult], *, usable: bool, clean: bool) -> Verdict:
    """Of an agent that is `usable` (its static checks and unit tests hold) and `clean` (so do all of its cases)."""
    met = {entry.id: entry.met for entry in found}
    functional = [met[one] for one in met if one.startswith("FR-")]
    if not usable or (functional and not any(functional)):
        return "failed"
    return "passed" if clean and all(met.values()) else "partial"


def _raise_problems(problems: Iterable[str | None]) -> None:
    """All that is wrong at once, the first first: what a model is told is cut."""
    if found := [problem for problem in problems if problem]:
        raise ValueError("; ".join(found))


def _check_no_duplicates(what: str, names: Sequence[str]) -> None:
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{what}: {', '.join(twice)}")
