"""What can be counted in a text."""

import re
from typing import Any

from nexus.domain.tools.library.numbers import check_count
from nexus.domain.tools.library.words import (
    check_size,
    find_phrases,
    is_cjk,
    pick_sentences,
    split_into_sentences,
    split_into_words,
)
from nexus.domain.tools.model import ToolError

_WORDS_A_MINUTE, _CHARACTERS_A_MINUTE = 230, 400


def text_statistics(text: str, top: int = 10) -> dict[str, Any]:
    """Counts characters, words, sentences, paragraphs and lines of a text, its reading time and its most frequent words.

    Each Chinese or Japanese character counts as one word.

    Args:
        text: The text.
        top: How many of the most frequent words to list, at most 100.
    """
    text = check_size(text)
    all_words, all_sentences = split_into_words(text), split_into_sentences(text)
    paragraphs = [part for part in re.split(r"\n\s*\n", text) if part.strip()]
    minutes = len(all_words) / (_CHARACTERS_A_MINUTE if is_cjk(text) else _WORDS_A_MINUTE)
    seconds = round(minutes * 60)
    frequent = find_phrases(text, check_count(top, "top", 100))
    return {
        "characters": len(text),
        "characters_without_spaces": sum(not character.isspace() for character in text),
        "words": len(all_words),
        "sentences": len(all_sentences),
        "paragraphs": len(paragraphs),
        "lines": len(text.splitlines()),
        "average_sentence_words": round(len(all_words) / len(all_sentences), 1) if all_sentences else 0,
        "reading_seconds": seconds,
        "frequent_words": [{"word": word, "count": count} for word, count in frequent],
        "text": f"{len(text)} characters, {len(all_words)} words, {len(all_sentences)} sentences, {len(paragraphs)} paragraphs, "
        f"about {seconds} seconds to read.",
    }  # fmt: skip


def summarize_by_statistics(text: str, sentence_count: int = 3) -> dict[str, Any]:
    """Shortens a text to its most telling sentences, picked by word frequency. The sentences are quoted, not rewritten.

    Args:
        text: The text.
        sentence_count: How many sentences to keep, at most 50.
    """
    kept = check_count(sentence_count, "sentence_count", 50)
    found = split_into_sentences(check_size(text))[:5000]
    if not found:
        raise ToolError("The text has no sentences.")
    chosen = [found[place] for place in pick_sentences(found, kept)]
    return {"sentences": chosen, "of": len(found), "text": ("" if is_cjk(text) else " ").join(chosen)}


def extract_keywords(text: str, limit: int = 10) -> dict[str, Any]:
    """Lists the words that tell what a text is about, by how often they occur, without little words such as "the".

    Args:
        text: The text.
        limit: How many keywords to list, at most 100.
    """
    found = find_phrases(check_size(text), check_count(limit, "limit", 100))
    keywords = [{"keyword": word, "count": count} for word, count in found]
    return {"keywords": keywords, "text": ", ".join(word for word, _ in found)}


def change_case(text: str, style: str = "upper") -> dict[str, Any]:
    """Rewrites a text in another case.

    Args:
        text: The text.
        style: One of upper, lower, title, sentence, snake, kebab, camel.
    """
    text = check_size(text, 100_000)
    parts = [part.lower() for part in re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", text))]
    changed = {
        "upper": text.upper(),
        "lower": text.lower(),
        "title": re.sub(r"[^\W_]+(?:['’][^\W_]+)*", lambda found: found[0][:1].upper() + found[0][1:].lower(), text),
        "sentence": text[:1].upper() + text[1:].lower(),
        "snake": "_".join(parts),
        "kebab": "-".join(parts),
        "camel": "".join(parts[:1] + [part.capitalize() for part in parts[1:]]),
    }
    if (wanted := style.strip().lower()) not in changed:
        raise ToolError(f"style must be one of {', '.join(changed)}.")
    return {"text": changed[wanted]}
