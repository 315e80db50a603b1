"""What shows that a requirement is met: the rules that hold whatever model plans the agent."""

import pytest
from msgspec import structs

from nexus.domain.builds import acceptance
from nexus.domain.builds.acceptance import CaseResult
from nexus.domain.builds.outputs import (
    Architecture,
    Case,
    Design,
    Duty,
    PlannedAgent,
    Requirement,
    Requirements,
    Unmet,
)

LENGTH = Requirement(
    id="FR-1",
    title="Length",
    statement="Converts length.",
    acceptance=["10 km is 6.21 miles"],
    keywords=["km", "mile", "convert"],
)
WEIGHT = Requirement(
    id="FR-2",
    title="Weight",
    statement="Converts weight.",
    acceptance=["5 kg is 11.02 pounds"],
    keywords=["kg", "pound", "convert"],
)
NEEDED = Requirements(functional=[LENGTH, WEIGHT])
AGENT = PlannedAgent(
    slug="units",
    name="Units",
    purpose="Converts.",
    library_tools=["convert_units", "calculate"],
    duties=[Duty(requirement="FR-1", tools=["convert_units"]), Duty(requirement="FR-2", tools=["convert_units"])],
)
PLANNED = Architecture(agents=[AGENT])
KM = Case(name="km", input="Convert 10 km to miles", calls=["convert_units"], requirements=["FR-1"])
KG = Case(name="kg", input="How many pounds are 5 kg?", calls=["convert_units"], requirements=["FR-2"])


def check(*cases: Case, agent: PlannedAgent = AGENT, needed: Requirements = NEEDED) -> str:
    """What is wrong with these cases; empty when nothing is."""
    try:
        acceptance.check_test_cases(
            Design(role="r", capabilities=[], cases=[*cases]), agent, Architecture(agents=[agent]), needed
        )
    except ValueError as error:
        return str(error)
    return ""


def test_each_duty_with_a_case_of_its_own_is_accepted() -> None:
    assert check(KM, KG) == ""


def test_a_requirement_without_a_case_is_named() -> None:
    assert check(KM) == "no case exercises FR-2 (Weight)"


@pytest.mark.parametrize(
    ("case", "wrong"),
    [
        (structs.replace(KM, name="weight", requirements=["FR-2"]), "its input must hold one of kg, pound"),
        (structs.replace(KG, calls=["calculate"]), "it must call convert_units"),
        (structs.replace(KG, calls=["guess"]), "the agent has no tool guess; it has convert_units, calculate"),
        (structs.replace(KG, requirements=["FR-9"]), "FR-9 is not for this agent, which has FR-1, FR-2"),
        (Case(name="what", input="What can you do?"), "exercises no requirement"),
        (structs.replace(KG, input="What can you do?"), "its input must hold one of kg, pound"),
    ],
    ids=["length for weight", "another tool", "no tool", "no requirement", "padding", "padding with an id"],
)
def test_a_case_that_does_not_exercise_the_clause_that_it_accepts_is_refused(case: Case, wrong: str) -> None:
    others = [one for one in (KM, KG) if one.name != case.name]
    assert wrong in check(*others, case)


def test_a_word_that_two_requirements_share_tells_neither_of_them() -> None:
    assert acceptance.list_unique_keywords(WEIGHT, NEEDED.functional) == ["kg", "pound"]
    assert "must hold one of kg, pound" in check(KM, structs.replace(KG, input="Convert 10 miles"))


def test_a_keyword_that_its_own_acceptance_does_not_have_counts_for_nothing() -> None:
    vague = structs.replace(WEIGHT, keywords=["mile"])
    assert acceptance.list_unique_keywords(vague, [LENGTH, vague]) == []


def test_without_keywords_a_case_that_speaks_of_another_requirement_alone_is_refused() -> None:
    needed = Requirements(functional=[structs.replace(one, keywords=[]) for one in NEEDED.functional])
    strange = structs.replace(KM, name="other", requirements=["FR-2"])
    assert check(KM, strange, needed=needed) == "case other speaks of FR-1, not of FR-2 (Weight)"
    for said in ("How many ounces are 3 stone?", "Convert 5 kg", "Convert a length of 10 km and a weight of 5 kg"):
        assert check(KM, structs.replace(KG, input=said), needed=needed) == ""


@pytest.mark.parametrize(
    ("word", "text", "said"),
    [
        ("kg", "70kg is much", True),
        ("kg", "kgs", True),
        ("kg", "background", False),
        ("pound", "Pounds!", True),
        ("m", "10 miles", False),
        ("公斤", "体重70公斤", True),
        ("", "anything", False),
    ],
)
def test_a_word_is_said_as_a_whole(word: str, text: str, said: bool) -> None:
    assert acceptance.is_word_in_text(word, text) is said


def test_what_language_alone_does_needs_a_case_that_can_fail() -> None:
    talk = structs.replace(AGENT, library_tools=[], duties=[Duty(requirement="FR-1")])
    needed = Requirements(functional=[structs.replace(LENGTH, keywords=["km"])])
    case = Case(name="says", input="What is a km?", requirements=["FR-1"])
    assert "any reply passes" in check(case, agent=talk, needed=needed)
    assert check(structs.replace(case, contains=["kilometre"]), agent=talk, needed=needed) == ""


@pytest.mark.parametrize(
    ("duties", "unmet", "wrong"),
    [
        (["FR-1"], [], "FR-2: neither a duty of an agent nor unmet"),
        (["FR-1", "FR-2"], ["FR-2"], "FR-2: both a duty and unmet"),
        (["FR-1", "FR-2", "FR-7"], [], "FR-7: no functional requirement; there are FR-1, FR-2"),
        (["FR-1"], ["FR-2", "FR-8"], "FR-8: no functional requirement"),
    ],
)
def test_a_requirement_is_a_duty_or_unmet_and_never_both(duties: list[str], unmet: list[str], wrong: str) -> None:
    agent = structs.replace(AGENT, duties=[Duty(requirement=one) for one in duties])
    planned = Architecture(agents=[agent], unmet=[Unmet(requirement_id=one, reason="no tool") for one in unmet])
    with pytest.raises(ValueError, match=wrong):
        acceptance.check_agent_duties(planned, NEEDED)


def test_a_duty_has_tools_that_its_agent_has_and_an_agent_has_a_duty() -> None:
    foreign = structs.replace(AGENT, duties=[*AGENT.duties[:1], Duty(requirement="FR-2", tools=["weigh"])])
    with pytest.raises(ValueError, match="FR-2 names weigh; it has convert_units, calculate"):
        acceptance.check_agent_duties(Architecture(agents=[foreign]), NEEDED)
    idle = structs.replace(AGENT, slug="idle", duties=[])
    with pytest.raises(ValueError, match="idle: has no duty"):
        acceptance.check_agent_duties(Architecture(agents=[AGENT, idle]), NEEDED)


def test_one_agent_that_names_no_duties_has_all_that_is_not_unmet() -> None:
    agent = structs.replace(AGENT, duties=[])
    planned = Architecture(agents=[agent], unmet=[Unmet(requirement_id="FR-2", reason="no scales")])
    acceptance.check_agent_duties(planned, NEEDED)
    assert acceptance.list_agent_duties(agent, planned, NEEDED) == {
        "FR-1": Duty(requirement="FR-1", tools=["convert_units", "calculate"])
    }


def ran(case: Case, *, passed: bool = True) -> CaseResult:
    return CaseResult(case=case, passed=passed, problem=None if passed else "the reply lacks '11.02'", answer="")


def verdict(planned: Architecture, *cases: CaseResult, usable: bool = True) -> str:
    found = acceptance.make_requirement_results(planned.agents[0], planned, NEEDED, cases)
    return acceptance.decide_agent_verdict(found, usable=usable, clean=all(case.passed for case in cases))


def test_the_verdict_follows_from_what_each_requirement_came_to() -> None:
    unmet = structs.replace(PLANNED, unmet=[Unmet(requirement_id="FR-2", reason="no scales")])
    assert verdict(PLANNED, ran(KM), ran(KG)) == "passed"
    assert verdict(PLANNED, ran(KM), ran(KG, passed=False)) == "partial"
    assert verdict(unmet, ran(KM)) == "partial"
    assert verdict(PLANNED, ran(KM)) == "partial"
    assert verdict(PLANNED, ran(KM, passed=False), ran(KG, passed=False)) == "failed"
    assert verdict(PLANNED, ran(KM), ran(KG), usable=False) == "failed"


def test_a_requirement_is_met_when_every_case_of_it_passes() -> None:
    twice = structs.replace(KG, name="again")
    [length, weight] = acceptance.make_requirement_results(
        AGENT, PLANNED, NEEDED, [ran(KM), ran(KG), ran(twice, passed=False)]
    )
    assert (length.met, length.cases) == (True, ["km"])
    assert (weight.met, weight.cases) == (False, ["kg", "again"])
    assert weight.summary_line == "FR-2 Weight: again: the reply lacks '11.02'"


def test_the_agent_that_users_talk_to_answers_for_what_nobody_does() -> None:
    first = structs.replace(AGENT, slug="first", duties=AGENT.duties[:1])
    other = structs.replace(AGENT, slug="other", duties=AGENT.duties[:1])
    planned = Architecture(agents=[first, other], unmet=[Unmet(requirement_id="FR-2", reason="no scales")])
    found = {
        agent.slug: acceptance.make_requirement_results(agent, planned, NEEDED, [ran(KM)]) for agent in planned.agents
    }
    assert [entry.summary_line for entry in found["first"] if not entry.met] == ["FR-2 Weight: no scales"]
    assert [entry.met for entry in found["other"]] == [True]
