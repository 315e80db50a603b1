"""Stage `design`: the role of an agent, and the cases that its tools must pass."""

from msgspec.structs import replace

from nexus.adapters.offline.build.naming import slug_of
from nexus.adapters.offline.skills.registry import SKILLS
from nexus.adapters.offline.skills.skill import Skill
from nexus.adapters.offline.templates.formula import formula_example
from nexus.domain.builds.outputs import Case, Design, DesignInput, Language, PlannedAgent, PlannedTool

_MOST = 20


def design(given: DesignInput) -> Design:
    agent, language = given.agent, given.brief.language
    tools = [*agent.library_tools, *(tool.name for tool in agent.new_tools)]
    zh = language == "zh"
    limits = [unmet.reason for unmet in given.unmet] + (
        ["只使用自己的工具，不编造结果。"] if zh else ["It uses its tools alone and never invents results."]
    )
    return Design(
        role=(f"{agent.name}：{agent.purpose}" if zh else f"{agent.name}: {agent.purpose}")[:500],
        capabilities=[_capability(tool, agent, language) for tool in tools] + [f"ask_{slug}" for slug in agent.calls],
        limits=limits,
        model_needs="离线模型即可；有语言模型时能自由回答。"
        if zh
        else "The offline model is enough; with a language model it answers freely.",
        memory="记得本次对话。" if zh else "It remembers the conversation.",
        cases=_cases(given, tools)[:_MOST],
    )


def _capability(tool: str, agent: PlannedAgent, language: Language) -> str:
    if tool in SKILLS:
        return SKILLS[tool].topic.title(language)
    return next((one.purpose for one in agent.new_tools if one.name == tool), tool)


def _cases(given: DesignInput, tools: list[str]) -> list[Case]:
    """The examples of each tool, of each agent that is asked, of each gap; at least what the agent says of itself."""
    language, new = given.brief.language, {tool.name: tool for tool in given.agent.new_tools}
    cases = [case for tool in tools for case in _of_tool(tool, new.get(tool), language)]
    cases += [case for slug in given.agent.calls if (case := _of_agent(slug, language))]
    duties = given.agent.duties
    held = [
        replace(case, requirements=[duty.requirement for duty in duties if {*case.calls} & {*duty.tools}])
        for case in cases
    ]
    asked = Case(name="says_what_it_can_do", input="你能做什么？" if language == "zh" else "What can you do?")
    return [case for case in held if case.requirements] or [asked]


def _of_tool(tool: str, new: PlannedTool | None, language: Language) -> list[Case]:
    skill = SKILLS.get(tool)
    if skill:
        return [
            Case(name=f"{tool[:36]}_{at}", input=one.input, calls=[tool], contains=list(one.contains))
            for at, one in enumerate(skill.examples.get(language, ()), 1)
        ]
    if new and (example := formula_example(new)):
        return [Case(name=f"{tool[:36]}_1", input=example.input, calls=[tool], contains=list(example.contains))]
    return []


def _of_agent(slug: str, language: Language) -> Case | None:
    """A specialist is named for what it does: its first example is asked through it."""
    skill: Skill | None = next(
        (one for one in SKILLS.values() if slug_of(one.topic.en) in (slug, slug.removesuffix("_agent"))), None
    )
    example = next(iter(skill.examples.get(language, ())), None) if skill else None
    return (
        Case(name=f"asks_{slug}"[:40], input=example.input, calls=[f"ask_{slug}"[:44]], contains=list(example.contains))
        if example
        else None
    )
