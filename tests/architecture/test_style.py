"""What a line may not say."""

import ast
import re
from collections.abc import Callable, Iterator

import pytest

from tests.architecture.sources import Offence, Source, comments, imports, listed, sources

IGNORE = re.compile(r"#\s*type:\s*ignore")
REASONED = re.compile(r"# type: ignore\[[a-z, -]+\]\s+# \S+")
LATER = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
PATCHING = ("unittest.mock", "pytest_mock", "mock.")

EXCEPTIONS: dict[str, str] = {}
"""Files that break a rule, and why."""


def bare_ignores(source: Source) -> Iterator[Offence]:
    """An ignore carries a code and a reason: `# type: ignore[code]  # reason`."""
    for line, text in comments(source):
        if IGNORE.search(text) and not REASONED.search(text):
            yield Offence(source.path, f"line {line}: {text}")


def notes_for_later(source: Source) -> Iterator[Offence]:
    for number, line in enumerate(source.text.splitlines(), 1):
        if found := LATER.search(line):
            yield Offence(source.path, f"line {number}: {found[0]}")


def prints(source: Source) -> Iterator[Offence]:
    if source.within("src/") and not source.within("src/nexus/cli/"):
        yield from _calls(source, "print")


def casts(source: Source) -> Iterator[Offence]:
    if source.within("src/") and not source.within("src/nexus/adapters/"):
        yield from _calls(source, "cast")


def patching(source: Source) -> Iterator[Offence]:
    """A domain test hands in what differs; it replaces nothing in the code under test."""
    if not source.within("tests/domain/", "tests/contracts/"):
        return
    yield from (Offence(source.path, name) for name in imports(source) if name.startswith(PATCHING))
    for node in ast.walk(source.tree):
        if isinstance(node, ast.arg) and node.arg in ("monkeypatch", "mocker") and source.within("tests/domain/"):
            yield Offence(source.path, f"line {node.lineno}: {node.arg}")


def raises_in_a_group(source: Source) -> Iterator[Offence]:
    """What is raised inside `except*` stays wrapped in a group before Python 3.11.4, and passes every `except` for it."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.TryStar):
            inside = [part for handler in node.handlers for part in ast.walk(handler)]
            yield from (Offence(source.path, f"line {one.lineno}") for one in inside if isinstance(one, ast.Raise))


def _calls(source: Source, name: str) -> Iterator[Offence]:
    for node in ast.walk(source.tree):
        called = node.func if isinstance(node, ast.Call) else None
        if (isinstance(called, ast.Name) and called.id == name) or (
            isinstance(called, ast.Attribute) and called.attr == name and ast.unparse(called.value) == "typing"
        ):
            yield Offence(source.path, f"line {called.lineno}: {name}()")


RULES = [bare_ignores, notes_for_later, prints, casts, patching, raises_in_a_group]


def _found(rule: Callable[[Source], Iterator[Offence]]) -> list[Offence]:
    return [offence for folder in ("src", "tests") for source in sources(folder) for offence in rule(source)]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_line_says_it(rule: Callable[[Source], Iterator[Offence]]) -> None:
    found = listed(offence for offence in _found(rule) if offence.place not in EXCEPTIONS)
    assert not found, f"\n{found}"


def test_every_exception_is_still_needed() -> None:
    needed = {offence.place for rule in RULES for offence in _found(rule)}
    assert set(EXCEPTIONS) - needed == set()


@pytest.mark.parametrize(
    ("rule", "path", "text", "offends"),
    [
        (bare_ignores, "src/nexus/a.py", "a = b  # type: " + "ignore", True),
        (bare_ignores, "src/nexus/a.py", "a = b  # type: " + "ignore[misc]", True),
        (bare_ignores, "src/nexus/a.py", "a = b  # type: " + "ignore[misc]  # c has no stubs", False),
        (notes_for_later, "src/nexus/a.py", "# TO" + "DO: more", True),
        (prints, "src/nexus/jobs/a.py", "print(1)", True),
        (prints, "src/nexus/cli/a.py", "print(1)", False),
        (casts, "src/nexus/domain/a.py", "import typing\ntyping.cast(int, a)", True),
        (casts, "src/nexus/adapters/a.py", "cast(int, a)", False),
        (patching, "tests/domain/a.py", "def test_a(monkeypatch): ...", True),
        (patching, "tests/domain/a.py", "from unittest.mock import Mock", True),
        (patching, "tests/cli/a.py", "def test_a(monkeypatch): ...", False),
        (raises_in_a_group, "src/nexus/a.py", "try: ...\nexcept* A as b:\n raise b.exceptions[0]", True),
        (raises_in_a_group, "src/nexus/a.py", "try: ...\nexcept* A: ...\nexcept* B: ...", False),
    ],
)
def test_a_rule_finds_what_it_is_for(
    rule: Callable[[Source], Iterator[Offence]], path: str, text: str, offends: bool
) -> None:
    assert bool(list(rule(Source(path, text)))) is offends
