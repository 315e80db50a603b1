"""Where things lie: the files of a module, the size of a port, and that every table is wired."""

import ast
import importlib
from collections.abc import Iterator
from typing import Any

from nexus.composition.tables import TABLES
from nexus.domain.ports.rows import Table
from tests.architecture.sources import DOMAIN, PACKAGE, ROOT, Source, sources

MODULE_FILES = {"__init__", "model", "tables", "rules", "service"}
NOUNS = {
    "agents": {"deployments", "invocations", "package", "slugs"},
    "builds": {
        "acceptance",
        "agent_build",
        "documents",
        "driver",
        "examination",
        "failures",
        "outputs",
        "queue",
        "report",
        "runner",
        "stage_attempt",
        "stage_context",
        "workflow",
    },
    "identity": {"policies"},
    "migrations": {"promotions"},
    "projects": {"admission", "deletions", "leases", "starts", "transitions"},
    "runtime": {"quarantine", "journal", "steps"},
    "sessions": {"admission", "completion", "deletions", "replies", "reply_stream"},
    "tallies": {"shards"},
    "tasks": {"execution"},
    "tools": {"arguments", "calls", "providers", "schema", "signatures", "workers"},
}
"""What a module has besides, each a noun of its field."""

SHELVES = {"builds": {"prompts", "stages"}, "tools": {"library"}}
"""Folders for many things of one kind."""

BESIDE = {"__init__", "services"}
MOST_METHODS = 5


def modules() -> list[str]:
    return sorted(
        path.parent.name for path in DOMAIN.glob("*/__init__.py") if path.parent.name not in ("core", "ports")
    )


def protocols(source: Source) -> Iterator[ast.ClassDef]:
    for node in source.tree.body:
        if isinstance(node, ast.ClassDef) and any(ast.unparse(one).startswith("Protocol") for one in node.bases):
            yield node


def public_methods(node: ast.ClassDef) -> list[str]:
    found = [one.name for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
    return [name for name in found if not name.startswith("_")]


def test_a_module_has_its_four_files_and_the_nouns_that_are_listed_here() -> None:
    for module in modules():
        files = {path.stem for path in (DOMAIN / module).glob("*.py")}
        assert files - MODULE_FILES - NOUNS.get(module, set()) == set(), module
        folders = {path.name for path in (DOMAIN / module).iterdir() if path.is_dir() and path.name != "__pycache__"}
        assert folders - SHELVES.get(module, set()) == set(), module


def test_every_listed_noun_and_shelf_is_there() -> None:
    for module, nouns in NOUNS.items():
        assert {noun for noun in nouns if not (DOMAIN / module / f"{noun}.py").is_file()} == set(), module
    for module, shelves in SHELVES.items():
        assert {shelf for shelf in shelves if not (DOMAIN / module / shelf).is_dir()} == set(), module


def test_nothing_lies_loose_in_the_domain() -> None:
    assert {path.stem for path in DOMAIN.glob("*.py")} == BESIDE


def test_a_port_has_few_methods() -> None:
    found = [protocol for source in sources("src/nexus/domain/ports") for protocol in protocols(source)]
    assert found
    assert {one.name: public_methods(one) for one in found if len(public_methods(one)) > MOST_METHODS} == {}


def test_a_port_says_what_each_method_promises() -> None:
    for source in sources("src/nexus/domain/ports"):
        for protocol in protocols(source):
            told = [one for one in protocol.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)]
            assert [one.name for one in told if ast.get_docstring(one) is None] == [], f"{source.path}: {protocol.name}"


def test_the_architecture_page_names_every_port_and_every_adapter() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    ports = {source.path.rpartition("/")[2] for source in sources("src/nexus/domain/ports") if any(protocols(source))}
    adapters = {path.parent.name for path in (PACKAGE / "adapters").glob("*/__init__.py")}
    rows = [line for line in page.splitlines() if line.startswith("|")]
    assert {port for port in ports if not any(f"`{port}`" in row for row in rows)} == set()
    assert {adapter for adapter in adapters if f"`{adapter}`" not in page} == set()


def test_the_architecture_page_names_every_module() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text()
    assert {module for module in modules() if f"`{module}`" not in page} == set()


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = (folder / "README.md").read_text()
    assert {path.name for path in folder.glob("0*.md") if f"({path.name})" not in listed} == set()


def declared() -> list[Table[Any]]:
    found = list[Table[Any]]()
    for path in sorted(DOMAIN.glob("*/tables.py")):
        module = importlib.import_module(f"nexus.domain.{path.parent.name}.tables")
        found += [value for value in vars(module).values() if isinstance(value, Table)]
    return found


def test_every_declared_table_is_wired_once() -> None:
    assert sorted(table.name for table in declared()) == sorted(table.name for table in TABLES)


def test_no_two_tables_share_a_name() -> None:
    names = [table.name for table in declared()]
    assert len(names) == len(set(names))


def test_a_table_is_named_without_the_prefix_of_a_deployment() -> None:
    assert [table.name for table in declared() if table.name.startswith("nexus")] == []
