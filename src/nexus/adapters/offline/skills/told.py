"""Tellers that several skills share."""

from typing import Any

from nexus.adapters.offline.language.numbers import shown
from nexus.adapters.offline.skills.skill import Teller
from nexus.domain.builds.outputs import Language
from nexus.domain.ports.models import JSON

_NAMES_ZH = {"words": "字词", "characters": "字符", "sentences": "句子", "paragraphs": "段落", "lines": "行", "reading_seconds": "阅读秒数", "characters_without_spaces": "不含空格的字符"}  # fmt: skip


def sentences(*, en: str, zh: str) -> Teller:
    """A sentence per language, with the names of arguments and results in braces."""

    def tell(arguments: JSON, result: Any, language: Language) -> str:
        fields = result if isinstance(result, dict) else {}
        return (zh if language == "zh" else en).format_map(
            {**arguments, **fields, "result": fields.get("result", result)}
        )

    return tell


def text_of(result: Any, language: Language) -> str:
    """Any result as people can read it: its own text where it has one, else its fields."""
    if isinstance(result, dict):
        if isinstance(result.get("text"), str) and result["text"].strip():
            return str(result["text"])
        return "\n".join(f"- {_name(name, language)}: {value_of(value, language)}" for name, value in result.items())
    if isinstance(result, list) and result and all(isinstance(row, dict) for row in result):
        return table(result)
    return value_of(result, language)


def value_of(value: Any, language: Language) -> str:
    """One value in a sentence: yes or no, numbers as they are, lists with commas."""
    if isinstance(value, bool):
        return ("是" if value else "否") if language == "zh" else ("yes" if value else "no")
    if isinstance(value, list):
        return ", ".join(value_of(one, language) for one in value) or ("无" if language == "zh" else "none")
    if isinstance(value, dict):
        return ", ".join(f"{_name(name, language)} {value_of(one, language)}" for name, one in value.items())
    if isinstance(value, float):
        return shown(value).replace(",", "")
    return "" if value is None else str(value)


def table(rows: list[JSON], most: int = 20) -> str:
    """Rows as a Markdown table."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    lines += [
        "| " + " | ".join(value_of(row.get(name), "en").replace("|", "\\|") for name in names) + " |"
        for row in rows[:most]
    ]
    return "\n".join(lines)


def _name(name: str, language: Language) -> str:
    return _NAMES_ZH.get(name, name) if language == "zh" else name.replace("_", " ")
