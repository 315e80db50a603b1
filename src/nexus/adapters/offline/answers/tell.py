"""Results in words, by the sentences of their card."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from nexus.adapters.offline.answers.readings import Reading
from nexus.adapters.offline.cards import CARDS
from nexus.domain.builds.outputs import Language
from nexus.domain.core.values import JSON

_MOST_ROWS = 24


class Shown(Struct, frozen=True):
    """A value in a sentence: in words, with two decimals (`:m`), bold behind `=` (`:b`), as a table (`:t`) or as
    fields (`:k`). Its attributes are its fields."""

    value: Any
    language: Language
    names: Mapping[str, str]

    def __getattr__(self, name: str) -> "Shown":
        value = self.value[int(name)] if isinstance(self.value, list) else self.value[name]
        return Shown(value, self.language, self.names)

    def __format__(self, spec: str) -> str:
        match spec:
            case "m":
                return f"{self.value:.2f}"
            case "b":
                before, sign, last = str(self.value).rpartition(" = ")
                return f"{before}{sign}**{last}**"
            case "t":
                return format_markdown_table(self.value)
            case "k":
                return ", ".join(f"{name} = **{format_value(one, self.language)}**" for name, one in self.value.items())
        shown = format_value(self.value, self.language)
        return self.names.get(shown, shown) if self.language == "zh" else shown


def format_result_sentence(tool: str, reading: Reading | None, given: JSON, result: Any, language: Language) -> str:
    """What came of a call: by the sentence of the card for what was asked, else the result as people can read it."""
    card, fields = CARDS.get(tool), result if isinstance(result, dict) else {"result": result}
    sentences = card.tell if card else {}
    about = reading.answer_topic if reading else ""
    sentence = sentences.get(about) or sentences.get("it" if about else "", {})
    values = {"asked": given, **given, **fields, "about": about.replace("_", " "), "it": fields.get(about)}
    names = card.values_zh if card else {}
    try:
        told = sentence.get(language, "").format_map(
            {name: Shown(value, language, names) for name, value in values.items()}
        )
    except (KeyError, TypeError, ValueError, IndexError):
        told = ""
    lines = [f"- {name.replace('_', ' ')}: {format_value(value, language)}" for name, value in fields.items()]
    return told or str(fields.get("text") or "\n".join(lines))


def format_value(value: Any, language: Language) -> str:
    """One value in a sentence: numbers with at most six decimals, lists with commas."""
    if isinstance(value, list | tuple):
        return ", ".join(format_value(one, language) for one in value) or ("无" if language == "zh" else "none")
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {format_value(one, language)}" for name, one in value.items())
    if isinstance(value, float) and abs(value) < 1e15:
        return f"{value:.6g}" if 0 < abs(value) < 1e-4 else f"{value:.6f}".rstrip("0").rstrip(".")
    return "" if value is None else str(value)


def format_markdown_table(rows: list[JSON]) -> str:
    """Rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    shown = [[format_value(row.get(name), "en").replace("|", "\\|") for name in names] for row in rows[:_MOST_ROWS]]
    lines = ["| " + " | ".join(cells) + " |" for cells in [names, *shown]]
    lines.insert(1, "|" + " --- |" * len(names))
    return "\n".join(lines + ([f"… ({len(rows) - _MOST_ROWS})"] if len(rows) > _MOST_ROWS else []))
