"""The project's own source, read as text and as syntax trees."""

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "nexus"
DOMAIN = PACKAGE / "domain"

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Source(NamedTuple):
    """A Python file. `path` is relative to the project's root."""

    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return _tree(self.text)

    @property
    def module(self) -> str:
        parts = Path(self.path).with_suffix("").parts
        return ".".join(parts[parts[0] == "src" : -1 if parts[-1] == "__init__" else None])

    def within(self, *folders: str) -> bool:
        return self.path.startswith(folders)


class Offence(NamedTuple):
    """`place` is a file, or a name in a file: what an exception names."""

    place: str
    told: str


def listed(offences: Iterable[Offence]) -> str:
    """One a line; nothing when there are none."""
    return "\n".join(f"{offence.place}: {offence.told}" for offence in offences)


@cache
def sources(folder: str) -> Sequence[Source]:
    """Every Python file under a folder of the project, in order."""
    paths = sorted((ROOT / folder).rglob("*.py"))
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text()) for path in paths]


@cache
def _tree(text: str) -> ast.Module:
    return ast.parse(text)


def functions(node: ast.AST, above: str = "") -> Iterator[tuple[str, Function]]:
    """Every function with its qualified name."""
    for child in ast.iter_child_nodes(node):
        name = above
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{above}.{child.name}".lstrip(".")
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield name, child
        yield from functions(child, name)


def imports(source: Source) -> Iterator[str]:
    """What a file imports, by full name: `from a.b import c` gives `a.b.c`, wherever in the file it stands."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def comments(source: Source) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
