"""Results in words, by the sentences of their card."""

import string
from collections.abc import Mapping
from typing import Any

from nexus.adapters.offline.answers.readings import Reading
from nexus.adapters.offline.cards import Card
from nexus.domain.builds.outputs import Language
from nexus.domain.core.values import JSON


class Sentence(string.Formatter):
    """`{name}` is a value in words, `:m` one with two decimals, `:b` bold behind `=`, `:t` a table, `:k` fields;
    `:f` the first row; `{name.part}` is a field."""

    def __init__(self, language: Language, names: Mapping[str, str]) -> None:
        self._language: Language = language
        self._names = names if language == "zh" else {}

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        first, *rest = field_name.split(".")
        value = kwargs[first]
        for part in rest:
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value, first

    def format_field(self, value: Any, format_spec: str) -> str:
        match format_spec:
            case "m":
                return f"{value:.2f}"
            case "b":
                *before, last = str(value).split(" = ")
                return " = ".join([*before, f"**{last}**"])
            case "t":
                return table(value)
            case "k":
                return ", ".join(f"{name} = **{value_of(one, self._language)}**" for name, one in value.items())
            case "f":
                return _first(value, self._language)
        shown = value_of(value, self._language)
        return self._names.get(shown, shown)


def tell(card: Card, reading: Reading | None, given: JSON, result: Any, language: Language) -> str | None:
    """The sentence of the card for what was asked; None where it has none that fits the result."""
    about = reading.about if reading else ""
    sentence = (card.tell.get(about) or card.tell.get("") or {}).get(language)
    fields = result if isinstance(result, dict) else {}
    values = {"asked": given, **given, **fields, "result": fields.get("result", result)}
    try:
        return Sentence(language, card.values_zh).vformat(sentence, (), values) if sentence else None
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _first(rows: list[JSON], language: Language) -> str:
    """The first row, and those that are equal to it in their last column."""
    best = [list(row.values()) for row in rows if list(row.values())[-1] == list(rows[0].values())[-1]]
    return ", ".join(f"**{value_of(row[0], language)}** ({value_of(row[-1], language)})" for row in best)


def text_of(result: Any, language: Language) -> str:
    """Any result as people can read it: its own text where it has one, else its fields."""
    if not isinstance(result, dict):
        return value_of(result, language)
    if isinstance(result.get("text"), str) and result["text"].strip():
        return str(result["text"])
    return "\n".join(f"- {name.replace('_', ' ')}: {value_of(value, language)}" for name, value in result.items())


def value_of(value: Any, language: Language) -> str:
    """One value in a sentence: yes or no, numbers with at most six decimals, lists with commas."""
    if isinstance(value, bool):
        return ("是" if value else "否") if language == "zh" else ("yes" if value else "no")
    if isinstance(value, list | tuple):
        return ", ".join(value_of(one, language) for one in value) or ("无" if language == "zh" else "none")
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {value_of(one, language)}" for name, one in value.items())
    if isinstance(value, float) and abs(value) < 1e15:
        is_small = value and abs(value) < 1e-4
        return f"{value:.6g}" if is_small else f"{value:.6f}".rstrip("0").rstrip(".")
    return "" if value is None else str(value)


def table(rows: list[JSON], most: int = 24) -> str:
    """Rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    shown = [[value_of(row.get(name), "en").replace("|", "\\|") for name in names] for row in rows[:most]]
    lines = ["| " + " | ".join(cells) + " |" for cells in [names, *shown]]
    lines.insert(1, "|" + " --- |" * len(names))
    return "\n".join(lines + ([f"… ({len(rows) - most})"] if len(rows) > most else []))
