"""Names say what a thing is, not that it is a thing."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.sources import Source, functions, sources

EMPTY = {"manager", "helper", "util", "utility", "base", "common", "data", "info", "misc", "stuff"}
WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")

IRREGULAR = {
    "begun",
    "bought",
    "bound",
    "brought",
    "built",
    "caught",
    "cut",
    "done",
    "drawn",
    "fallen",
    "found",
    "given",
    "gone",
    "heard",
    "held",
    "hidden",
    "kept",
    "known",
    "laid",
    "left",
    "lost",
    "made",
    "meant",
    "met",
    "overrun",
    "paid",
    "ran",
    "said",
    "seen",
    "sent",
    "shown",
    "shut",
    "sold",
    "sought",
    "spent",
    "spoken",
    "struck",
    "taken",
    "taught",
    "thought",
    "thrown",
    "told",
    "understood",
    "woken",
    "won",
    "written",
}
"""Participles without a regular ending."""
NOUNS = {"bring", "feed", "ping", "seed", "speed", "string", "embed", "beginning", "heading", "setting", "meaning"}
RETIRED = {
    "house", "playhouse", "rehearsal", "rehearse", "crowd", "wish", "wishes", "troubles", "keeping", "endings", "hear",
    "recall", "burying", "leavings", "stillness", "openings", "purge", "halt", "mine", "ours",
}  # fmt: skip
"""Words for which another one stands everywhere."""

VAGUE = {
    "begin", "collect", "deliver", "feed", "hold", "holds", "keep", "leave", "look", "note", "of", "on", "place",
    "room", "take", "tell", "touch", "whole",
}  # fmt: skip
"""Names that say nothing without an object."""


def vague_names(source: Source) -> Iterator[str]:
    """Functions named by such a word alone."""
    for name, _ in functions(source.tree):
        if name.rpartition(".")[2].strip("_") in VAGUE:
            yield name


def participles(source: Source) -> Iterator[str]:
    """Functions of which the whole name is a participle: what was done to something does not say what a function does."""
    for name, _ in functions(source.tree):
        word = name.rpartition(".")[2].strip("_")
        if "_" not in word and word not in NOUNS and (word in IRREGULAR or re.fullmatch(r"\w+(ed|ing)", word)):
            yield name


def retired_words(source: Source) -> Iterator[str]:
    """Names of modules, classes and functions that hold a retired word."""
    named = [node.name for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)]
    named += [name.rpartition(".")[2] for name, _ in functions(source.tree)]
    yield from (
        name for name in (Path(source.path).stem, *named) if {word.lower() for word in WORD.findall(name)} & RETIRED
    )


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


def test_no_function_is_named_by_a_participle_or_a_vague_word_and_no_retired_word_comes_back() -> None:
    found = {
        source.path: [*participles(source), *vague_names(source), *retired_words(source)] for source in sources("src")
    }
    assert {path: names for path, names in found.items() if names} == {}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("def told(): ...", ["told"]),
        ("class A:\n def _indexed(self): ...", ["A._indexed"]),
        ("def read_indexed(): ...\ndef feed(): ...\ndef find(): ...", []),
    ],
)
def test_the_rule_sees_a_participle_that_stands_alone(text: str, names: list[str]) -> None:
    assert list(participles(Source("src/nexus/a.py", text))) == names


def test_the_domain_names_no_command() -> None:
    """What people type is told to it (`UserCommands`)."""
    command = re.compile(r"\bnexus (serve|build|chat|models|projects|agents?|sessions|tasks|tools|doctor)\b")
    found = {source.path: command.findall(source.text) for source in sources("src/nexus/domain")}
    assert {path: commands for path, commands in found.items() if commands} == {}
