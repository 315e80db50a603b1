"""Stage `design`: the role of an agent, and for each of its duties the cases that show that it is met."""

from msgspec.structs import replace

from nexus.adapters.offline.build.requirements import clause_of, shown_by
from nexus.adapters.offline.cards import CARDS
from nexus.domain.builds.outputs import Case, Design, DesignInput, Duty, Language, PlannedAgent

_MOST = 20


def design(given: DesignInput) -> Design:
    agent, language = given.agent, given.brief.language
    zh = language == "zh"
    honest = "只使用自己的工具，不编造结果。" if zh else "It uses its tools alone and never invents results."
    return Design(
        role=f"{agent.name}{'：' if zh else ': '}{agent.purpose}"[:500],
        capabilities=[_capability(tool, agent, language) for tool in agent.tools],
        limits=[*dict.fromkeys(unmet.reason for unmet in given.unmet), honest],
        model_needs="离线模型即可；有语言模型时能自由回答。"
        if zh
        else "The offline model is enough; with a language model it answers freely.",
        memory="记得本次对话。" if zh else "It remembers the conversation.",
        cases=_cases(given),
    )


def _capability(tool: str, agent: PlannedAgent, language: Language) -> str:
    if tool in CARDS:
        return CARDS[tool].title(language)
    return next((one.purpose for one in agent.new_tools if one.name == tool), tool)


def _cases(given: DesignInput) -> list[Case]:
    """One for each duty first, then further ones as there is room; one message is one case, whatever it shows."""
    functional, cases = {entry.id: entry for entry in given.requirements.functional}, dict[tuple[str, ...], Case]()
    shown = [
        (duty, shown_by(clause_of(functional[duty.requirement], given.brief.language), given.brief.language))
        for duty in given.agent.duties
    ]
    for at in range(max((len(examples) for _, examples in shown), default=0)):
        for duty, examples in shown:
            for example in examples[at : at + 1]:
                key = (example.input, *duty.tools[:1])
                known = cases.get(key) or _case(duty, example.input, example.contains, len(cases) + 1)
                cases[key] = replace(known, requirements=list(dict.fromkeys([*known.requirements, duty.requirement])))
    return list(cases.values())[:_MOST]


def _case(duty: Duty, said: str, contains: tuple[str, ...], number: int) -> Case:
    return Case(name=f"{duty.tools[0][:34]}_{number}", input=said, calls=duty.tools, contains=list(contains))
