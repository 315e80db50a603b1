"""Stage `requirements`: one functional requirement per clause, and what always holds."""

from nexus.adapters.offline.build.clauses import Clause, clauses_of, examples_of, read_clause
from nexus.adapters.offline.cards import Example
from nexus.adapters.offline.writing import formula_example
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
_SAYS: dict[Language, tuple[str, str]] = {"en": ("The agent can do this: ", "."), "zh": ("智能体能够：", "。")}
_OUTSIDE: dict[Language, list[str]] = {
    "en": ["Abilities that are not listed here.", "Keeping personal data."],
    "zh": ["没有列出的能力。", "保存个人数据。"],
}


def requirements(given: RequirementsInput) -> Requirements:
    language = given.brief.language
    clauses, manners = clauses_of(given.requirement)
    always = [(title, statement, check) for title, statement, check in _ALWAYS[language]]
    shown = "回答中可以看到：{}" if language == "zh" else "One sees it in the answers: {}"
    wished = [(text[:80], text, shown.format(text)) for text in manners]
    return Requirements(
        functional=[_functional(at, clause, language) for at, clause in enumerate(clauses, 1)],
        nonfunctional=[
            Requirement(id=f"NFR-{at}", title=title, statement=statement, acceptance=[check])
            for at, (title, statement, check) in enumerate([*always, *wished], 1)
        ],
        out_of_scope=_OUTSIDE[language],
    )


def clause_of(requirement: Requirement, language: Language) -> Clause:
    """The clause that a functional requirement was made of."""
    before, after = _SAYS[language]
    return read_clause(requirement.statement.removeprefix(before).removesuffix(after), language)


def shown_by(clause: Clause, language: Language) -> list[Example]:
    """The messages that show that a clause is met."""
    if clause.formula:
        example = formula_example(clause.formula)
        return [Example(example.input, tuple(example.contains))] if example else []
    return examples_of(clause, language)


def _functional(number: int, clause: Clause, language: Language) -> Requirement:
    before, after = _SAYS[language]
    return Requirement(
        id=f"FR-{number}",
        title=(clause.text[:1].upper() + clause.text[1:])[:80],
        statement=f"{before}{clause.text}{after}",
        acceptance=_acceptance(clause, language),
    )


def _acceptance(clause: Clause, language: Language) -> list[str]:
    asked = "问“{}”时，回答包含“{}”。" if language == "zh" else "Asked “{}”, the answer contains “{}”."
    if clause.served and (examples := shown_by(clause, language)):
        return [asked.format(" ".join(one.input.split())[:250], ", ".join(one.contains)[:150]) for one in examples]
    return ["这样的请求得到结果。" if language == "zh" else "A request of this kind is answered with a result."]
