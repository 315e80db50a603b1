"""Names and slugs of agents."""

import re
import zlib

from nexus.adapters.offline.build.needs import Found, needs_in
from nexus.domain.builds.outputs import Language

_GIVEN = re.compile(
    r"\b(?:called|named)\s+[\"“']?([A-Za-z][\w -]{1,38}?)[\"”']?(?=\s+(?:that|which|who|to|for)\b|[,.;]|$)|(?:名为|名叫|叫做|叫作|取名)[“\"「]?([\w一-鿿]{2,20}?)[”\"」]?(?=的|，|。|,|$)",
    re.IGNORECASE,
)
_SMALL = {
    "an",
    "a",
    "the",
    "and",
    "or",
    "of",
    "for",
    "to",
    "in",
    "on",
    "with",
    "from",
    "that",
    "which",
    "who",
    "can",
    "could",
    "should",
    "agent",
    "agents",
    "assistant",
    "bot",
    "chatbot",
    "tool",
    "i",
    "we",
    "want",
    "need",
    "would",
    "like",
    "build",
    "make",
    "create",
    "me",
    "us",
    "my",
    "our",
    "please",
    "it",
    "its",
    "helps",
    "help",
    "is",
    "are",
    "be",
}


def slug_of(text: str) -> str:
    """At most 40 characters, cut between words; empty when nothing of the text can be in a slug."""
    words = re.findall(r"[a-z0-9]+", text.lower())
    slug = "_".join(words)
    while len(slug) > 40 and words:
        words.pop()
        slug = "_".join(words)
    slug = slug or "".join(re.findall(r"[a-z0-9]+", text.lower()))[:40]
    return slug if re.fullmatch(r"[a-z][a-z0-9_]{2,39}", slug) else ""


def agent_slug(requirement: str, found: list[Found]) -> str:
    """From the English titles of what the agent does, else from its words, else by a number that its words give."""
    given = _GIVEN.search(requirement)
    titles = " ".join(_titles(found, "en"))
    words = " ".join(word for word in re.findall(r"[A-Za-z]{3,}", requirement) if word.lower() not in _SMALL)
    few = " ".join(words.split()[:4])
    return (
        slug_of(given[1] if given and given[1] else "")
        or slug_of(titles)
        or slug_of(few)
        or f"agent_{zlib.crc32(requirement.encode()) & 0xFFFFFF:06x}"
    )


def agent_name(requirement: str, found: list[Found], language: Language) -> str:
    """The given name, else what the agent does, else its first words."""
    given = _GIVEN.search(requirement)
    if given:
        return (given[1] or given[2]).strip()[:80]
    titles = _titles(found, language)
    if titles:
        return (("与" if language == "zh" else " and ").join(titles) + ("助手" if language == "zh" else ""))[:80]
    if language == "zh":
        return (re.sub(r"^(?:做|创建|我?需?要?|帮我)*一个|[，。！？\s].*$", "", requirement) or requirement)[:20]
    words = [word for word in re.findall(r"[A-Za-z]{3,}", requirement) if word.lower() not in _SMALL][:4]
    return (" ".join(words).capitalize() or "New agent")[:80]


def _titles(found: list[Found], language: Language) -> list[str]:
    """At most two, those that are possible first."""
    possible = [one for one in found if one.gap is None] or found
    return list(dict.fromkeys(one.topic.title(language) for one in possible))[:2]


def titles_in(text: str, language: Language) -> list[str]:
    return _titles(needs_in(text), language)
