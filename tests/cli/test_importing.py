"""What a start imports, and what it does without."""

import gc
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from nexus.cli.importing import hide_modules_from_import


@pytest.fixture
def ornament(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module that can be imported, and has not been."""
    (tmp_path / "ornament.py").write_text("shine = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield "ornament"
    sys.modules.pop("ornament", None)


def test_what_is_to_be_absent_is_absent_inside_and_there_again_behind(ornament: str) -> None:
    with hide_modules_from_import(ornament, "sys"):
        with pytest.raises(ImportError):
            import_module(ornament)
        assert not gc.isenabled()
        assert sys.modules["sys"] is sys
    assert gc.isenabled()
    assert import_module(ornament).shine


def test_an_import_that_fails_leaves_nothing_behind(ornament: str) -> None:
    with pytest.raises(ImportError), hide_modules_from_import(ornament):
        import_module("nexus.no_such_module")
    assert gc.isenabled()
    assert import_module(ornament).shine


def test_a_server_starts_without_what_only_tools_and_terminals_need() -> None:
    script = (
        "import sys; from nexus.cli.importing import hide_modules_from_import\n"
        "with hide_modules_from_import('rich'): from nexus import serving\n"
        "heavy = {'rich', 'pygments', 'regex', 'anyio._backends._asyncio'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
