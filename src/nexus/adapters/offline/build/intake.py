"""Stage `intake`: is there a task in it that rules can do, and what is it called."""

import re
import zlib
from collections.abc import Sequence
from typing import Literal

from nexus.adapters.offline.build.clauses import WORDS, Clause, parse_requirement_clauses, split_off_agent_name
from nexus.adapters.offline.cards import CARDS
from nexus.adapters.offline.reading.tokens import detect_language, normalize_text, split_words, stem_word
from nexus.domain.builds.outputs import Brief, BuildRequest, Language

_CHANGE = re.compile(
    r"^\W{0,9}(?:please |can you )?(?:change|update|modify|extend|improve|adapt|rename|fix|add)\b.{0,90}"
    r"\b(?:my|our|the|this|existing)\b.{0,30}\b(?:agent|assistant|bot)\b|(?:修改|更新|改进|升级|扩展|调整|完善|[给为把让在])"
    r"(?:一下)?(?:现有|已有|我的|这个|那个|原来|之前).{0,20}(?:智能体|助手|机器人)", re.IGNORECASE,
)  # fmt: skip
_SAYS: dict[Language, dict[str, str]] = {
    "en": {
        "unclear": "There is no task in it. Say in a sentence what the agent is to do, like “converts units and computes averages”.",
        "needs_language_model": "This needs a language model. The built-in offline model is rules alone (units, loans, dates, "
        "tables and the like) and did not understand {}.",
        "built": "Built by the offline model: rules and templates, no AI. It answers in English.",
    },
    "zh": {
        "unclear": "看不出要构建什么。请用一句话说明智能体应该做什么，例如“换算单位并计算平均数”。",
        "needs_language_model": "这需要语言模型。内置的离线模型只有规则（单位、贷款、日期、表格等），没有理解{}。",
        "built": "由离线模型（规则与模板，没有人工智能）构建，用中文回答。",
    },
}


def write_build_brief(given: BuildRequest) -> Brief:
    requirement, flat = given.requirement.strip(), re.sub(r"\s+", " ", given.requirement).strip()
    language, (clauses, _) = detect_language(normalize_text(requirement)), parse_requirement_clauses(requirement)
    cards = list(dict.fromkeys(clause.card for clause in clauses if clause.is_supported))
    intent: Literal["new", "change", "unclear", "needs_language_model"]
    intent = "needs_language_model" if _has_meaningful_words(flat, clauses) else "unclear"
    intent = "change" if _CHANGE.search(flat) else "new" if cards else intent
    left = " ".join(f"“{words[:60]}”" for clause in clauses[:3] for words in clause.left[:4])
    name, slug = _make_agent_name_and_slug(requirement, cards, language)
    return Brief(
        intent=intent,
        problem=_SAYS[language][intent].format(left[:250]) if intent in _SAYS[language] else None,
        name=name,
        slug=slug,
        language=language,
        category=CARDS[cards[0]].category if cards else "general",
        summary=flat[:300],
        assumptions=[_SAYS[language]["built"]],
    )


def _has_meaningful_words(flat: str, clauses: Sequence[Clause]) -> bool:
    """Nothing says one word again and again, a greeting, and what has no vowel."""
    left = {stem_word(word) for clause in clauses for words in clause.left for word in split_words(words)}
    words = set(split_words(flat))
    spoken = any(re.search(r"[^\db-df-hj-np-tv-xz]", word) for word in words)
    return len(words) > 1 and spoken and bool(left - {*map(stem_word, WORDS["empty"])})


def _make_agent_name_and_slug(requirement: str, cards: Sequence[str], language: Language) -> tuple[str, str]:
    """Name and slug: as the requirement calls it, else after what is served."""
    given, titles = split_off_agent_name(requirement)[0], [CARDS[card].get_title(language) for card in cards]
    if language == "en":
        named = (" and ".join(titles) if len(titles) < 3 else f"{', '.join(titles[:2])} and more") or "Agent"
    else:
        named = f"{'、'.join(titles[:2])}{'等' * (len(titles) > 2)}助手" if titles else "智能体"
    slug = _make_slug(given) or _make_slug(" ".join(CARDS[card].get_title("en") for card in cards[:2]))
    return (given or named)[:80], slug or f"agent_{zlib.crc32(requirement.encode(errors='replace')) & 0xFFFFFF:06x}"


def _make_slug(text: str) -> str:
    """At most 40 characters, cut between words; empty when nothing of the text can be in a slug."""
    slug = re.sub(r"[^a-z0-9]+", "_", text.lower()[:400]).strip("_")
    slug = slug if len(slug) <= 40 else slug[:41].rpartition("_")[0] or slug[:40]
    return slug if re.fullmatch(r"[a-z][a-z0-9_]{2,39}", slug) else ""
