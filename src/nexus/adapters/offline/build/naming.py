"""Names and slugs of agents."""

import re
import zlib
from collections.abc import Sequence

from nexus.adapters.offline.build.clauses import Clause
from nexus.adapters.offline.cards import CARDS
from nexus.domain.builds.outputs import Language

_GIVEN = re.compile(
    r"\b(?:called|named)\s+[\"“']?([A-Za-z][\w-]{1,30}(?-i:(?: [A-Z][\w-]{1,30})?))|(?:名为|名叫|叫做|叫作|取名)[“\"「]?([\w一-鿿]{2,20}?)[”\"」]?(?=的|，|。|,|$)",
    re.IGNORECASE,
)


def slug_of(text: str) -> str:
    """At most 40 characters, cut between words; empty when nothing of the text can be in a slug."""
    words = re.findall(r"[a-z0-9]+", text.lower()[:400])
    while len(slug := "_".join(words)) > 40 and len(words) > 1:
        words.pop()
    slug = slug[:40]
    return slug if re.fullmatch(r"[a-z][a-z0-9_]{2,39}", slug) else ""


def titles_of(clauses: Sequence[Clause], language: Language) -> list[str]:
    """What the clauses that are understood are about, each once."""
    titles = [
        CARDS[clause.card].title(language) if clause.card else _formula_title(clause)
        for clause in clauses
        if clause.served
    ]
    return list(dict.fromkeys(titles))


def _formula_title(clause: Clause) -> str:
    return clause.formula.name.replace("_", " ").capitalize() if clause.formula else ""


def agent_name(requirement: str, clauses: Sequence[Clause], language: Language) -> str:
    """The given name, else what the agent does, else the first words of the requirement."""
    if given := _GIVEN.search(requirement[:2000]):
        return (given[1] or given[2]).strip()[:80]
    titles = titles_of(clauses, language)
    if not titles:
        words = re.findall(r"[^\W\d_]+", requirement[:400])
        return (" ".join(words[:6]) or "Agent")[:80] if language == "en" else (words[0] if words else "智能体")[:20]
    if language == "zh":
        return f"{'与'.join(titles) if len(titles) < 3 else '、'.join(titles[:2]) + '等'}助手"[:80]
    return (" and ".join(titles) if len(titles) < 3 else f"{titles[0]}, {titles[1]} and more")[:80]


def agent_slug(requirement: str, clauses: Sequence[Clause]) -> str:
    """From the given name, or the English titles of what the agent does; else from a number that its words give."""
    given = _GIVEN.search(requirement[:2000])
    titles = " ".join(titles_of(clauses, "en")[:2])
    return (
        slug_of(given[1] if given and given[1] else "")
        or slug_of(titles)
        or f"agent_{zlib.crc32(requirement.encode(errors='replace')) & 0xFFFFFF:06x}"
    )
