"""Shells complete what the command itself says may come next."""

import shlex
import shutil
import subprocess
import sys
from argparse import _SubParsersAction
from importlib.metadata import version
from pathlib import Path

import pytest

from nexus.cli import parser
from nexus.cli.completion import SCRIPTS, candidates
from tests.cli.conftest import Nexus

ASKING = {
    "bash": "COMP_WORDS=({words}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); _nexus; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    "zsh": 'words=({words}); CURRENT=$#words; _describe() {{ print -rl -- "${{(@)${{(@P)2}}%%:*}}" }}; _nexus',
    "fish": 'complete -C "{line}"',
}


def words(*typed: str) -> list[str]:
    return [word for word, _ in candidates(parser(), typed)]


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (("ver",), []),
        (("cha",), ["chat"]),
        (("--json", "too"), ["tools"]),
        (("--url", "http://x", "too"), ["tools"]),
        (("projects", "re"), ["report", "resume", "retry", "restart"]),
        (("projects", "list", "--status", "pa"), ["paused"]),
        (("projects", "list", "--st"), ["--status"]),
        (("projects", "list", "--json", "--st"), ["--status"]),
        (("completion", ""), ["bash", "zsh", "fish"]),
        (("build", "--requirement-file", ""), []),
        (("projects", "show", ""), []),
        (("nonsense", "li"), []),
        ((), ["serve"]),
    ],
)
def test_the_words_that_may_come_next(typed: tuple[str, ...], found: list[str]):
    assert words(*typed)[: max(len(found), 1)] == found


def test_every_command_is_offered_and_the_hidden_ones_are_not():
    (commands,) = [one for one in parser()._actions if isinstance(one, _SubParsersAction)]
    assert set(words("")) == set(commands.choices) - {"complete-words"}
    assert "--attached" not in words("serve", "--")


@pytest.mark.parametrize("shell", sorted(SCRIPTS))
def test_a_shell_completes_with_the_script_that_is_printed_for_it(nexus: Nexus, shell: str, tmp_path: Path):
    if (found := shutil.which(shell)) is None:
        pytest.skip(f"{shell} is not installed")
    called = tmp_path / "nexus"
    called.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m nexus "$@"\n')
    called.chmod(0o755)
    typed = ["nexus", "projects", "list", "--status", "pa"]
    ask = ASKING[shell].format(words=shlex.join(typed), line=shlex.join(typed))
    stub = "compdef() { }\n" if shell == "zsh" else ""
    script = f'export PATH="{tmp_path}:$PATH"\n' + stub + nexus("completion", shell).out + ask
    done = subprocess.run([found, "-c", script], capture_output=True, text=True, timeout=50, cwd=tmp_path)
    assert done.stdout.split() == ["paused"], done.stderr


def test_the_version_is_that_of_the_package(nexus: Nexus, capsys: pytest.CaptureFixture[str]):
    assert nexus("--version").code == 0
    assert capsys.readouterr().out == f"nexus {version('nexus')}\n"
