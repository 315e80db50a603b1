"""Names say what a thing is, not that it is a thing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import Source, sources

EMPTY = {"manager", "helper", "util", "utility", "base", "common", "data", "info", "misc", "stuff"}
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def empty_names(source: Source) -> Iterator[str]:
    """The folders, the module and the classes of a file whose names hold an empty word."""
    classes = [node.name for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    yield from (name for name in (*Path(source.path).with_suffix("").parts, *classes) if _words(name) & EMPTY)


def _words(name: str) -> set[str]:
    words = {word.lower() for word in WORD.findall(name)}
    return words | {word.removesuffix("s") for word in words}


def test_no_module_and_no_class_has_an_empty_word_in_its_name() -> None:
    found = {source.path: list(empty_names(source)) for folder in ("src", "tests") for source in sources(folder)}
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("path", "text", "names"),
    [
        ("src/nexus/utils.py", "", ["utils"]),
        ("src/nexus/base/model.py", "", ["base"]),
        ("src/nexus/a.py", "class HTTPManager: ...", ["HTTPManager"]),
        ("src/nexus/a.py", "class ToolInfo: ...", ["ToolInfo"]),
        ("src/nexus/databases.py", "class Database: ...", []),
    ],
)
def test_the_rule_sees_words_not_letters(path: str, text: str, names: list[str]) -> None:
    assert list(empty_names(Source(path, text))) == names
