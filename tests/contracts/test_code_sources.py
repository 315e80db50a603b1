"""The contract of `CodeRunner.describe`: foreign source is read at a bounded cost, away from the loop, and never run."""

import asyncio
import time
from pathlib import Path

import pytest

from nexus.adapters.confined.reading import SourceReader
from nexus.adapters.confined.runner import ConfinedRunner
from nexus.domain.core.errors import InvalidInput
from nexus.domain.ports.code import CodeRunner
from nexus.domain.tools import signatures
from tests.architecture.sources import ROOT, imports, sources


def doubling(lines: int, kind: str = "dict[{0}, {0}]") -> str:
    named = ["T = list[int]", *(f"T{n} = {kind.format(f'T{n - 1}' if n else 'T')}" for n in range(lines))]
    return "\n".join([*named, f"def tool(a: T{lines - 1} = None) -> int:", "    return 1", ""])


HOSTILE = {
    "types that double with every line": doubling(30),
    "types that double in unions": doubling(30, "{0} | list[{0}]"),
    "types that double in texts": doubling(30, "dict['{0}', '{0}']"),
    "a very long chain of names": doubling(3000, "list[{0}]"),
    "a type that holds itself": "T = list[T]\ndef tool(a: T): ...\n",
    "two types that hold each other": "A = list[B]\nB = dict[str, A] | B\ndef tool(a: A): ...\n",
    "more minus signs than the parser has places": f"def tool(a: int = {'-' * 9000}1): ...\n",
    "a deep sum": f"x = {'1+' * 20_000}1\ndef tool(a: {'(' * 190}int{')' * 190} | {'-' * 3000}1): ...\n",
    "deep brackets": f"x = {'[' * 5000}\n",
    "deep attributes": f"def tool(a: {'a.' * 15_000}b[c.d(e)]): ...\n",
    "deep indents": "".join(f"{' ' * n}if 1:\n" for n in range(300)) + "def tool(): ...",
    "a null byte": "def tool(a: int): ...\0",
    "half a character": "def tool(a: int): ...\n# \ud800",
    "an endless default": "def tool(a: float = 1e999): ...\n",
    "a default inside a list that JSON has not": "def tool(a: list = [1e999]): ...\n",
    "half a character as a default": "def tool(a: str = '\\ud800'): ...\n",
    "half a character in a docstring": "def tool(a: int):\n    '\\ud800'\n",
    "an endless number": f"def tool(a: int = {'9' * 30_000}): ...\n",
    "a number as a type": f"def tool(a: '{'9' * 30_000}'): ...\n",
    "a long list of alternatives": f"def tool(a: {' | '.join(['int'] * 5000)}): ...\n",
    "a large alias used often": f"T = Literal['{'x' * 30_000}']\ndef tool({', '.join(f'a{n}: T' for n in range(500))}): ...\n",
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_hostile_source_is_refused_like_bad_syntax_and_soon(runner: CodeRunner, what: str) -> None:
    began = time.process_time()
    with pytest.raises(InvalidInput):
        await runner.parse_tool_spec(HOSTILE[what], "tool")
    assert time.process_time() - began < 2


async def test_a_source_says_what_its_function_takes_and_is_for(runner: CodeRunner) -> None:
    source = 'raise SystemExit\nKind = Literal["a", "b"]\nKinds = list[Kind]\nasync def tool(kinds: Kinds, n: int = 1):\n    """Counts."""\n'
    found = await runner.parse_tool_spec(source, "tool")
    assert (found.name, found.description) == ("tool", "Counts.")
    assert found.parameters["properties"] == {
        "kinds": {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}},
        "n": {"type": "integer", "default": 1},
    }


async def test_source_is_read_where_no_boundary_holds_too(tmp_path: Path) -> None:
    closed = ConfinedRunner(data=tmp_path / "data")
    assert closed.get_isolation_tier().level == 0
    assert (await closed.parse_tool_spec("def tool(a: str): ...", "tool")).name == "tool"


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("while True: pass", "takes the parser too long"),
        ("import os; os.abort()", "cannot be read: exit code -6"),
        ("x = bytearray(10**10)", "cannot be read: MemoryError"),
        ("print('{}')", "cannot be read"),
    ],
)
async def test_a_parser_that_fails_is_the_sources_fault_and_does_not_hold_the_server(
    tmp_path: Path, script: str, words: str
) -> None:
    limits = "import resource\nresource.setrlimit(resource.RLIMIT_CPU, (1, 2))\nresource.setrlimit(resource.RLIMIT_AS, (2**29, 2**29))\n"
    (tmp_path / "parser.py").write_text(f"{limits}{script}\n")
    reader, ticks = SourceReader(tmp_path / "parser.py"), 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0)
            ticks += 1

    ticking = asyncio.create_task(tick())
    with pytest.raises(InvalidInput, match=words):
        await reader.parse_tool_spec("def tool(): ...", "tool")
    ticking.cancel()
    assert ticks


async def test_what_was_read_once_is_known(tmp_path: Path) -> None:
    (tmp_path / "parser.py").write_text(
        "import pathlib, sys\nwith pathlib.Path('count').open('a') as f: f.write('x')\n"
        'print(\'{"spec": {"name": "tool", "description": "", "parameters": {}}}\')\n'.replace(
            "'count'", repr(str(tmp_path / "count"))
        )
    )
    reader = SourceReader(tmp_path / "parser.py")
    for source in ("def tool(): 1", "def tool(): 1", "def tool(): 2"):
        await reader.parse_tool_spec(source, "tool")
    assert (tmp_path / "count").read_text() == "xx"


def test_the_cost_of_a_signature_grows_with_its_text() -> None:
    def cpu(lines: int) -> float:
        source = 'def tool(a: int):\n    """Says.\n\n    Args:\n        a: ' + "word\n            " * lines + '"""\n'
        began = time.process_time()
        for _ in range(3):
            signatures.parse_tool_signature(source, "tool")
        return time.process_time() - began

    assert cpu(5000) < 3 * cpu(2500) + 0.05


def test_what_reads_foreign_source_knows_the_standard_library_only() -> None:
    reading = next(one for one in sources("src/nexus/domain/tools") if one.path.endswith("/signatures.py"))
    assert not [name for name in imports(reading) if name.startswith(("nexus", "msgspec"))]


def test_nothing_else_in_the_server_parses_python() -> None:
    """Foreign source is parsed in `signatures` (in a process of its own), or behind the walls."""
    may = ("domain/tools/signatures.py", "adapters/confined/inside/")
    found = [
        one.path
        for one in sources("src")
        if ("ast.parse(" in one.text or "literal_eval(" in one.text)
        and not one.within(*(f"src/nexus/{path}" for path in may))
    ]
    assert found == [], ROOT
