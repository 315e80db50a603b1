"""Shells complete what the command itself says may come next."""

import os
import shlex
import shutil
import subprocess
import sys
from argparse import _SubParsersAction
from importlib.metadata import version
from pathlib import Path

import pytest

from nexus.cli import make_argument_parser
from nexus.cli.completion import SHELLS
from tests.cli.conftest import Nexus

ASKING = {
    "bash": "COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}; COMP_TYPE=9; _python_argcomplete nexus; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    "zsh": "words=({line}); BUFFER='{line}'; CURSOR=${{#BUFFER}}; _describe() {{ print -rl -- ${{(@P)2}} }}; _python_argcomplete",
    "fish": 'complete -C "{line}"',
}


def complete(typed: str, folder: Path) -> list[str]:
    """The words that the command offers behind what was typed."""
    found = folder / "words"
    environ = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(found),
        "_ARGCOMPLETE_IFS": "\n",
        "COMP_LINE": typed,
        "COMP_POINT": str(len(typed)),
    }
    subprocess.run([sys.executable, "-m", "nexus"], env=environ, timeout=50, check=True)
    return found.read_text().split()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("nexus cha", ["chat"]),
        ("nexus --json too", ["tools"]),
        ("nexus --url http://x too", ["tools"]),
        ("nexus projects re", ["report", "resume", "retry", "restart"]),
        ("nexus projects list --st", ["--status"]),
        ("nexus completion ", ["bash", "zsh", "fish"]),
        ("nexus serve --att", []),
    ],
)
def test_the_words_that_may_come_next(typed: str, found: list[str], tmp_path: Path):
    assert complete(typed, tmp_path)[: max(len(found), 1)] == found


def test_every_command_is_offered(tmp_path: Path):
    (commands,) = [one for one in make_argument_parser()._actions if isinstance(one, _SubParsersAction)]
    assert set(commands.choices) <= set(complete("nexus ", tmp_path))


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_completes_with_the_script_that_is_printed_for_it(nexus: Nexus, shell: str, tmp_path: Path):
    if (found := shutil.which(shell)) is None:
        pytest.skip(f"{shell} is not installed")
    called = tmp_path / "nexus"
    called.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nexus "$@"\n')
    called.chmod(0o755)
    ask = ASKING[shell].format(line="nexus projects list --status pa")
    stub = "compdef() { }\nis-at-least() { false }\n" if shell == "zsh" else ""
    script = f'export PATH="{tmp_path}:$PATH"\n' + stub + nexus("completion", shell).out + ask
    done = subprocess.run([found, "-c", script], capture_output=True, text=True, timeout=50, cwd=tmp_path)
    assert done.stdout.replace(":", " ").split()[:1] == ["paused"], done.stderr


def test_the_version_is_that_of_the_package(nexus: Nexus, capsys: pytest.CaptureFixture[str]):
    assert nexus("--version").code == 0
    assert capsys.readouterr().out == f"nexus {version('nexus')}\n"
