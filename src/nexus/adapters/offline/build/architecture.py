"""Stage `architecture`: which tools serve which requirement, which are to be written, and what stays unmet."""

from msgspec import Struct

from nexus.adapters.offline.build.naming import slug_of, titles_in
from nexus.adapters.offline.build.needs import Served, served
from nexus.adapters.offline.skills.registry import SKILLS
from nexus.domain.builds.outputs import (
    Architecture,
    ArchitectureInput,
    Brief,
    Duty,
    Language,
    PlannedAgent,
    PlannedTool,
    Requirement,
    Unmet,
)


class _Part(Struct, frozen=True):
    requirement: Requirement
    text: str
    served: Served


def architecture(given: ArchitectureInput) -> Architecture:
    language = given.brief.language
    parts = [_Part(one, _text(one), served(_text(one), given.library)) for one in given.requirements.functional]
    agents = _several(given.brief, parts) if given.brief.topology == "multiple" else []
    if len(agents) < 3:
        agents = [_agent(given.brief.slug, given.brief.name, given.brief.summary, parts)]
    return Architecture(
        overview=_overview(agents, language),
        agents=agents,
        interfaces=[
            "对话：一条消息，一个回答。" if language == "zh" else "Conversation: one message in, one answer out."
        ],
        data=[
            "不保存数据；每次调用只用消息里的内容。"
            if language == "zh"
            else "Nothing is stored; each call uses what the message says."
        ],
        unmet=[unmet for part in parts if (unmet := _unmet(part, language))],
    )


def _text(requirement: Requirement) -> str:
    """The capability itself; the title is cut at 80 characters, the statement is not."""
    statement = requirement.statement
    return statement.partition(": ")[2] or statement.partition("：")[2] or statement


def _agent(slug: str, name: str, purpose: str, parts: list[_Part]) -> PlannedAgent:
    library = list(dict.fromkeys(tool for part in parts for tool in part.served.library))
    new = {tool.name: tool for part in parts for tool in part.served.new if tool.name not in library}
    chosen = _most(new)
    own = {*library, *(tool.name for tool in chosen)}
    duties = [
        Duty(requirement=part.requirement.id, tools=[tool for tool in part.served.tools if tool in own])
        for part in parts
        if not part.served.gaps and not part.served.empty
    ]
    return PlannedAgent(
        slug=slug,
        name=name,
        purpose=purpose[:500] or name,
        library_tools=library,
        new_tools=chosen,
        duties=duties,
    )


def _most(new: dict[str, PlannedTool]) -> list[PlannedTool]:
    return list(new.values())[:8]


def _several(brief: Brief, parts: list[_Part]) -> list[PlannedAgent]:
    """A coordinator that users talk to, and a specialist for each requirement that a tool serves."""
    specialists: dict[str, list[_Part]] = {}
    for part in parts:
        if part.served.library or part.served.new:
            slug = slug_of(" ".join(titles_in(part.text, "en")[:1])) or f"specialist_{len(specialists) + 1}"
            specialists.setdefault(f"{slug[:30]}_agent" if slug == brief.slug else slug, []).append(part)
    chosen = list(specialists.items())[:4]
    zh = brief.language == "zh"
    agents = [
        _agent(slug, _title(mine, brief.language, slug), ("；" if zh else "; ").join(part.text for part in mine), mine)
        for slug, mine in chosen
    ]
    asked = "；".join(agent.purpose for agent in agents) if zh else "; ".join(agent.purpose for agent in agents)
    purpose = (
        f"把每个问题交给能回答的智能体：{asked}"
        if zh
        else f"Passes each question to the agent that can answer it: {asked}"
    )
    duties = [
        Duty(requirement=duty.requirement, tools=[f"ask_{agent.slug}"]) for agent in agents for duty in agent.duties
    ]
    calls = [agent.slug for agent in agents]
    return [
        PlannedAgent(slug=brief.slug, name=brief.name, purpose=purpose[:500], calls=calls, duties=duties),
        *agents,
    ]


def _title(parts: list[_Part], language: Language, slug: str) -> str:
    return next(iter(titles_in(parts[0].text, language)), slug.replace("_", " ").capitalize())[:80]


def _unmet(part: _Part, language: Language) -> Unmet | None:
    if part.served.gaps:
        return Unmet(
            requirement_id=part.requirement.id, reason=" ".join(gap.reason(language) for gap in part.served.gaps)[:500]
        )
    if not part.served.empty:
        return None
    if language == "zh":
        return Unmet(
            requirement_id=part.requirement.id,
            reason="工具库里没有合适的工具，离线模型也没有相应模板；这需要语言模型。请设置NEXUS_MODEL__API_KEY。",
        )
    reason = "No library tool does this and the offline model has no template for it; it needs a language model. Set NEXUS_MODEL__API_KEY to build it with one."
    return Unmet(requirement_id=part.requirement.id, reason=reason)


def _overview(agents: list[PlannedAgent], language: Language) -> str:
    lines = []
    for agent in agents:
        tools = [
            *agent.library_tools,
            *(tool.name for tool in agent.new_tools),
            *(f"ask_{slug}" for slug in agent.calls),
        ]
        shown = [f"`{tool}`" + (f" ({SKILLS[tool].topic.title(language)})" if tool in SKILLS else "") for tool in tools]
        nothing = "没有工具" if language == "zh" else "no tools"
        lines.append(f"- **{agent.name}** (`{agent.slug}`): {', '.join(shown) or nothing}")
    return "\n".join(lines)
