"""Results in words, by the sentences of their card."""

import string
from collections.abc import Mapping
from typing import Any

from nexus.adapters.offline.answers.readings import Reading
from nexus.adapters.offline.cards import Card
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON


class Sentence(string.Formatter):
    """`{name}` is a value as people write it, `{name:m}` one with two decimals, `:b` bold behind `=`, `:t` a table, `:l` a list; `{name.part}` is a field."""

    def __init__(self, language: Language, names: Mapping[str, str]) -> None:
        self._language: Language = language
        self._names = names

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        first, *rest = field_name.split(".")
        value = kwargs[first]
        for part in rest:
            value = value[int(part)] if isinstance(value, list) else value[part]
        return value, first

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "m":
            return f"{value:.2f}"
        if format_spec == "b":
            return " = ".join([*str(value).split(" = ")[:-1], f"**{str(value).split(' = ')[-1]}**"])
        if format_spec == "t":
            return table(value)
        if format_spec == "l":
            return "\n".join(f"- {value_of(one.get('value', one.get('match', one)), self._language)}" for one in value)
        if format_spec == "k":
            return ", ".join(f"{name} = **{value_of(one, self._language)}**" for name, one in value.items())
        if format_spec == "f":
            return _first(value, self._language)
        if format_spec == "s":
            return str(value)[:3000]
        shown = value_of(value, self._language)
        return self._names.get(shown, shown) if self._language == "zh" else shown


def tell(card: Card, reading: Reading | None, given: JSON, result: Any, language: Language) -> str | None:
    """The sentence of the card for what was asked; None where it has none that fits the result."""
    about = reading.frame.about if reading else ""
    sentence = (card.tell.get(about) or card.tell.get("") or {}).get(language)
    if sentence is None:
        return None
    fields = result if isinstance(result, dict) else {}
    try:
        return Sentence(language, card.values_zh).vformat(
            sentence, (), {"asked": given, **given, **fields, "result": fields.get("result", result)}
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _first(rows: list[JSON], language: Language) -> str:
    """The first row, and those that are equal to it in their last column."""
    best = [list(row.values()) for row in rows if list(row.values())[-1] == list(rows[0].values())[-1]]
    return ", ".join(f"**{value_of(row[0], language)}** ({value_of(row[-1], language)})" for row in best)


def text_of(result: Any, language: Language) -> str:
    """Any result as people can read it: its own text where it has one, else its fields."""
    if isinstance(result, dict):
        if isinstance(result.get("text"), str) and result["text"].strip():
            return str(result["text"])
        return "\n".join(f"- {name.replace('_', ' ')}: {value_of(value, language)}" for name, value in result.items())
    return value_of(result, language)


def value_of(value: Any, language: Language) -> str:
    """One value in a sentence: yes or no, numbers as they are, lists with commas."""
    if isinstance(value, bool):
        return ("是" if value else "否") if language == "zh" else ("yes" if value else "no")
    if isinstance(value, list):
        return ", ".join(value_of(one, language) for one in value) or ("无" if language == "zh" else "none")
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {value_of(one, language)}" for name, one in value.items())
    return number_text(value) if isinstance(value, float) else "" if value is None else str(value)


def number_text(value: float) -> str:
    """At most six decimals, no trailing zeros."""
    if value and abs(value) < 1e-4:
        return f"{value:.6g}"
    return f"{value:.6f}".rstrip("0").rstrip(".") if abs(value) < 1e15 else repr(value)


def table(rows: list[JSON], most: int = 24) -> str:
    """Rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += [
        "| " + " | ".join(value_of(row.get(name), "en").replace("|", "\\|") for name in names) + " |"
        for row in rows[:most]
    ]
    return "\n".join(lines + ([f"… ({len(rows) - most})"] if len(rows) > most else []))
