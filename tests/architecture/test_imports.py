"""Who may import whom: the contracts of pyproject.toml, and what they cannot say."""

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.architecture.sources import ROOT, Offence, Source, imports, listed, sources

INSIDE = {"msgspec", "structlog"}
LIBRARIES = {
    "regex": ("src/nexus/domain/tools/library/",),  # patterns of users need a time limit, which `re` has not
    "tomli_w": ("src/nexus/domain/agents/", "src/nexus/domain/builds/"),  # agent.toml is written here
}
"""What some rooms of the domain may use besides."""


OF_ONE_ADAPTER = {
    "opentelemetry": "src/nexus/adapters/opentelemetry/",
    "prometheus_client": "src/nexus/adapters/prometheus/",
}
"""What one adapter imports, and nothing else."""


def foreign_imports(source: Source) -> Iterator[Offence]:
    """What is neither the app, nor the standard library, nor listed above."""
    for name in imports(source):
        top = name.partition(".")[0]
        known = top == "nexus" or top in sys.stdlib_module_names or top in INSIDE
        if not known and not source.within(*LIBRARIES.get(top, ("nowhere",))):
            yield Offence(source.path, name)


def imports_of_another_adapter(source: Source) -> Iterator[Offence]:
    for name in imports(source):
        home = OF_ONE_ADAPTER.get(name.partition(".")[0])
        if home and not source.within(home):
            yield Offence(source.path, name)


def tables_of_others(source: Source) -> Iterator[Offence]:
    """A module's tables are its own; only the composition knows all of them."""
    own = ".".join(source.module.split(".")[:3])
    for name in imports(source):
        parts = name.split(".")
        is_tables = parts[:2] == ["nexus", "domain"] and parts[3:4] == ["tables"]
        if is_tables and ".".join(parts[:3]) != own and source.module != "nexus.composition.tables":
            yield Offence(source.path, name)


def test_the_contracts_are_kept() -> None:
    command = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken." in done.stdout


@pytest.mark.parametrize("folder", ["src/nexus/domain", "src/nexus/jobs", "src/nexus/wire"])
def test_the_inside_imports_no_vendor(folder: str) -> None:
    found = listed(offence for source in sources(folder) for offence in foreign_imports(source))
    assert not found, f"\n{found}"


def test_the_tables_of_a_module_are_imported_by_it_alone() -> None:
    found = listed(offence for source in sources("src") for offence in tables_of_others(source))
    assert not found, f"\n{found}"


def test_what_belongs_to_one_adapter_is_imported_by_it_alone() -> None:
    found = listed(offence for source in sources("src") for offence in imports_of_another_adapter(source))
    assert not found, f"\n{found}"
    stranger = Source("src/nexus/composition/a.py", "def f():\n from prometheus_client import Counter")
    assert list(imports_of_another_adapter(stranger))


@pytest.mark.parametrize(
    ("path", "text", "offends"),
    [
        ("src/nexus/domain/agents/a.py", "import regex", True),
        ("src/nexus/domain/tools/library/a.py", "import regex", False),
        ("src/nexus/domain/agents/a.py", "def f():\n from litestar import get", True),
        ("src/nexus/domain/agents/a.py", "import asyncio, msgspec.json", False),
    ],
)
def test_a_foreign_import_is_found(path: str, text: str, offends: bool) -> None:
    assert bool(list(foreign_imports(Source(path, text)))) is offends


@pytest.mark.parametrize(
    ("path", "text", "offends"),
    [
        ("src/nexus/domain/builds/a.py", "from nexus.domain.agents.tables import AGENTS", True),
        ("src/nexus/adapters/http/a.py", "from nexus.domain.agents import tables", True),
        ("src/nexus/domain/agents/service.py", "from nexus.domain.agents.tables import AGENTS", False),
        ("src/nexus/composition/tables.py", "from nexus.domain.agents.tables import AGENTS", False),
    ],
)
def test_a_table_of_others_is_found(path: str, text: str, offends: bool) -> None:
    assert bool(list(tables_of_others(Source(path, text)))) is offends
