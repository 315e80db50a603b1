"""Stage `requirements`: one functional requirement per capability, and what always holds."""

from nexus.adapters.offline.build.clauses import capabilities, manners
from nexus.adapters.offline.build.needs import Found, needs_in
from nexus.adapters.offline.skills.registry import SKILLS
from nexus.domain.builds.outputs import Language, Requirement, Requirements, RequirementsInput

_ALWAYS = {
    "en": (
        ("Language", "It answers in the language of the user.", "A question in English is answered in English."),
        ("Steps", "It explains how a result came about.", "A computed result comes with the numbers or the tool that it was computed from."),
        ("Honesty", "It never invents results: what its tools cannot do, it says.", "A question outside of its tools is answered by saying so."),
    ),
    "zh": (
        ("语言", "用用户的语言回答。", "中文问题用中文回答。"),
        ("步骤", "说明结果是怎样得出的。", "计算结果附有所用的数字或工具。"),
        ("诚实", "不编造结果：工具做不到的，就直说。", "超出工具范围的问题，会说明做不到。"),
    ),
}  # fmt: skip


def requirements(given: RequirementsInput) -> Requirements:
    language = given.brief.language
    functional = [_functional(at, text, language) for at, text in enumerate(capabilities(given.requirement)[:30], 1)]
    always = [(title, statement, [check]) for title, statement, check in _ALWAYS[language]]
    wished = [(text[:80], text, [_shown(text, language)]) for text in manners(given.requirement)]
    nonfunctional = [
        Requirement(id=f"NFR-{at}", title=title, statement=statement, acceptance=checks)
        for at, (title, statement, checks) in enumerate([*always, *wished], 1)
    ]
    outside = (
        ["没有列出的能力。", "保存个人数据。"]
        if language == "zh"
        else ["Abilities that are not listed here.", "Keeping personal data."]
    )
    return Requirements(functional=functional, nonfunctional=nonfunctional, out_of_scope=outside)


def _functional(number: int, text: str, language: Language) -> Requirement:
    statement = f"智能体能够：{text}。" if language == "zh" else f"The agent can do this: {text}."
    title = text[:1].upper() + text[1:]
    return Requirement(
        id=f"FR-{number}", title=title[:80], statement=statement[:500], acceptance=_acceptance(needs_in(text), language)
    )


def _acceptance(found: list[Found], language: Language) -> list[str]:
    """An example per tool, and honesty per gap."""
    lines = []
    for one in found[:5]:
        skill = SKILLS.get(one.library or one.template or "")
        example = next(iter(skill.examples.get(language, ())), None) if skill else None
        if example and example.contains:
            shown, wanted = example.input.replace("\n", " ⏎ ")[:200], ", ".join(example.contains)
            lines.append(
                f"问“{shown}”时，回答包含“{wanted}”。"
                if language == "zh"
                else f"Asked “{shown}”, the answer contains “{wanted}”."
            )
        elif one.gap:
            lines.append(one.gap.reason(language))
    return lines or [
        "用相应的请求可以验证。"
        if language == "zh"
        else "A request of this kind is answered with a result, or with what is missing for one."
    ]


def _shown(text: str, language: Language) -> str:
    return f"回答中可以看到：{text}" if language == "zh" else f"One sees it in the answers: {text}"
