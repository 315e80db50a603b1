"""Stage `architecture`: which tools serve which requirement, which are to be written, and what stays unmet."""

from collections.abc import Sequence

from msgspec import Struct

from nexus.adapters.offline.build.clauses import Clause
from nexus.adapters.offline.build.naming import slug_of, titles_of
from nexus.adapters.offline.build.requirements import clause_of, shown_by
from nexus.adapters.offline.cards import CARDS
from nexus.adapters.offline.writing import plan_template
from nexus.domain.builds.outputs import (
    Architecture,
    ArchitectureInput,
    Brief,
    Duty,
    Language,
    PlannedAgent,
    PlannedTool,
    Unmet,
)

_NEW = 8
"""Tools that an agent may have written."""
_SPECIALISTS = 4
_REASONS: dict[Language, tuple[str, str]] = {
    "en": (
        "The offline model did not understand {left}; it has no tool for it. A language model may do it: `nexus models`.",
        "An agent has at most {most} tools that are written for it.",
    ),
    "zh": (
        "离线模型没有理解{left}，也没有相应的工具。语言模型也许可以：`nexus models`。",
        "一个智能体最多有{most}个新编写的工具。",
    ),
}


class _Part(Struct, frozen=True):
    """A requirement that a tool serves; `new` is its plan, where it is to be written."""

    id: str
    clause: Clause
    tool: str
    new: PlannedTool | None


def architecture(given: ArchitectureInput) -> Architecture:
    language, offered = given.brief.language, {tool.name for tool in given.library}
    parts, unmet = list[_Part](), list[Unmet]()
    for requirement in given.requirements.functional:
        clause = clause_of(requirement, language)
        part = _part(requirement.id, clause, offered, language)
        if part is None:
            unmet.append(Unmet(requirement_id=requirement.id, reason=_not_understood(clause, language)))
        elif part.new and len({one.tool for one in parts if one.new} | {part.tool}) > _NEW:
            unmet.append(Unmet(requirement_id=requirement.id, reason=_REASONS[language][1].format(most=_NEW)))
        else:
            parts.append(part)
    agents = _several(given.brief, parts) if given.brief.topology == "multiple" else []
    if not agents:
        agents = [_agent(given.brief.slug, given.brief.name, _purpose(parts, language), parts)]
    zh = language == "zh"
    return Architecture(
        overview="\n".join(f"- **{agent.name}** (`{agent.slug}`): {', '.join(agent.tools)}" for agent in agents),
        agents=agents,
        interfaces=["对话：一条消息，一个回答。" if zh else "Conversation: one message in, one answer out."],
        data=[
            "不保存数据；每次调用只用消息里的内容。"
            if zh
            else "Nothing is stored; each call uses what the message says."
        ],
        unmet=unmet,
    )


def _part(requirement_id: str, clause: Clause, offered: set[str], language: Language) -> _Part | None:
    if not clause.served or not shown_by(clause, language):
        return None
    if clause.formula:
        return _Part(requirement_id, clause, clause.formula.name, clause.formula)
    card = CARDS[clause.card or ""]
    if card.kind == "template":
        return _Part(requirement_id, clause, card.tool, plan_template(card.tool))
    return _Part(requirement_id, clause, card.tool, None) if card.tool in offered else None


def _not_understood(clause: Clause, language: Language) -> str:
    left = clause.left or (clause.text[:80],)
    return _REASONS[language][0].format(left=("、" if language == "zh" else ", ").join(f"“{words}”" for words in left))[
        :500
    ]


def _purpose(parts: Sequence[_Part], language: Language) -> str:
    """What is served of the requirement, and nothing of the rest."""
    return ("；" if language == "zh" else "; ").join(part.clause.text for part in parts)


def _agent(slug: str, name: str, purpose: str, parts: Sequence[_Part]) -> PlannedAgent:
    new = {part.tool: part.new for part in parts if part.new}
    return PlannedAgent(
        slug=slug,
        name=name,
        purpose=purpose[:500] or name,
        library_tools=list(dict.fromkeys(part.tool for part in parts if not part.new)),
        new_tools=list(new.values()),
        duties=[Duty(requirement=part.id, tools=[part.tool]) for part in parts],
    )


def _several(brief: Brief, parts: Sequence[_Part]) -> list[PlannedAgent]:
    """A coordinator that users talk to, and a specialist for each tool; nothing when that makes no two specialists."""
    groups: dict[str, list[_Part]] = {}
    for part in parts:
        groups.setdefault(part.tool, []).append(part)
    kept = list(groups.values())
    kept = [*kept[: _SPECIALISTS - 1], [part for group in kept[_SPECIALISTS - 1 :] for part in group]]
    specialists = [_specialist(brief, mine) for mine in kept if mine]
    if len(specialists) < 2:
        return []
    zh = brief.language == "zh"
    asked = ("；" if zh else "; ").join(agent.purpose for agent in specialists)
    purpose = (
        f"把每个问题交给能回答的智能体：{asked}"
        if zh
        else f"Passes each question to the agent that can answer it: {asked}"
    )
    first = PlannedAgent(
        slug=brief.slug,
        name=brief.name,
        purpose=purpose[:500],
        calls=[agent.slug for agent in specialists],
        duties=[
            Duty(requirement=duty.requirement, tools=[f"ask_{agent.slug}"])
            for agent in specialists
            for duty in agent.duties
        ],
    )
    return [first, *specialists]


def _specialist(brief: Brief, parts: Sequence[_Part]) -> PlannedAgent:
    clauses = [part.clause for part in parts]
    slug = slug_of(titles_of(clauses, "en")[0]) or slug_of(parts[0].tool)
    taken = f"{slug[:34]}_agent" if slug == brief.slug else slug
    return _agent(taken, titles_of(clauses, brief.language)[0][:80], _purpose(parts, brief.language), parts)
