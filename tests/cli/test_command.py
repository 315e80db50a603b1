"""The command as a whole: usage, exit codes, what goes wrong."""

import argparse
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pkgutil import resolve_name

import pytest

from nexus import cli
from nexus.cli import run
from nexus.cli.output import Output
from tests.cli.conftest import Nexus
from tests.client import fake as say
from tests.client.fake import Fake

NOBODY = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["projects"],
        ["projects", "list", "--limit", "0"],
        ["projects", "list", "--limit", "9999999999999"],
        ["projects", "list", "--status", "odd"],
        ["projects", "show", ".."],
        ["build"],
        ["build", "x", "--requirement-file", "y"],
        ["build", "x", "--priority", "6"],
        ["serve", "--port", "70000"],
        ["build", "an agent", "--serve", "--detach"],
        ["build", "-"],
        ["build", "--requirement-file", "/nowhere/at/all"],
        ["chat", "agent", "--session", "ses_1"],
        ["agent", "run", "/nowhere/at/all"],
        ["agents", "list", "--url", "not a url"],
    ],
)
def test_wrong_usage_is_told_and_exits_with_2(nexus: Nexus, argv: list[str], capsys: pytest.CaptureFixture[str]):
    said = nexus(*argv)
    assert said.code == 2
    assert "Traceback" not in said.err + capsys.readouterr().err


def test_help_is_fast_because_nothing_heavy_is_imported():
    script = (
        "import sys; from nexus.cli import run; from nexus.cli.output import Output; run(['--help'], environ={}, output=Output());"
        "heavy = {'aiohttp', 'rich', 'msgspec', 'litestar', 'asyncio', 'nexus.composition.services'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "serve" in done.stdout


@pytest.mark.parametrize("argv", [["build", "an agent that helps"], ["chat"], ["chat", "--message", "hi"]])
def test_without_a_server_build_and_chat_say_so_and_name_both_ways(nexus: Nexus, argv: list[str]):
    said = nexus(*argv, "--url", NOBODY)
    assert said.code == 3
    assert "nexus serve" in said.err
    assert "--serve" in said.err
    assert len(said.err.splitlines()) == 1


def test_without_a_server_every_command_names_the_ways_that_it_has(nexus: Nexus):
    said = nexus("agents", "list", "--url", NOBODY)
    assert said.code == 3
    assert "nexus serve" in said.err
    assert "--serve" in said.err


def test_a_server_of_ones_own_is_not_started_for_another_machine(nexus: Nexus):
    said = nexus("build", "an agent that helps", "--serve", "--url", "https://127.0.0.1:9")
    assert said.code == 2
    assert "not one of its addresses" in said.err


def test_the_unexpected_is_one_line_and_a_hint(fake: Fake, nexus: Nexus, monkeypatch: pytest.MonkeyPatch):
    def broken(*_: object) -> int:
        raise RuntimeError("the sky fell")

    monkeypatch.setattr(cli, "_call_command_handler", broken)
    said, told = nexus("agents", "list"), nexus("agents", "list", NEXUS_DEBUG="1")
    assert (said.code, told.code) == (1, 1)
    assert said.err == "nexus: unexpected RuntimeError: the sky fell. NEXUS_DEBUG=1 shows where.\n"
    assert "Traceback" in told.err


def test_an_interrupt_is_quiet(nexus: Nexus, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_call_command_handler", interrupted)
    assert nexus("agents", "list").code == 130


def test_a_reader_that_leaves_ends_the_command_quietly(fake: Fake):
    fake.on("GET", "/api/v2/projects/prj_1/report", say.text(b"x" * 300_000, "text/markdown"))
    reading, writing = os.pipe()
    os.close(reading)
    err = io.StringIO()
    with os.fdopen(writing, "w") as out:
        output = Output(stdin=io.StringIO(), stdout=out, stderr=err)
        assert run(["projects", "report", "prj_1"], environ={"NEXUS_URL": fake.url}, output=output) == 141
    assert err.getvalue() == ""


def test_settings_that_are_misspelt_are_named_and_the_clients_own_are_not_taken_for_settings(nexus: Nexus, tmp_path):
    (tmp_path / "agent.toml").write_text("")
    said = nexus("agent", "run", str(tmp_path), NEXUS_PROT="1", NEXUS_TOKEN="x", NEXUS_DEBUG="")
    assert said.code == 2
    assert "NEXUS_PROT" in said.err
    assert "NEXUS_TOKEN" not in said.err
    assert "NEXUS_URL" not in said.err


FOREIGN = [
    say.text(b"<html>no</html>", "text/html", status=404),
    say.text(b"<html>home</html>", "text/html"),
    say.good({"detail": "Not Found"}, 404),
    say.good({"detail": "Not authenticated"}, 401),
    say.nothing(301, Location="/login"),
]


@pytest.mark.parametrize("answer", FOREIGN)
@pytest.mark.parametrize(
    "argv",
    [
        ("agents", "list"),
        ("projects", "report", "prj_1"),
        ("projects", "events", "prj_1"),
        ("projects", "cat", "prj_1", "a.md"),
        ("build", "an agent that helps", "--serve"),
        ("chat", "--serve"),
        ("agents", "list", "--json"),
    ],
)
def test_what_is_no_nexus_server_is_no_server(fake: Fake, nexus: Nexus, answer: say.Answer, argv: tuple[str, ...]):
    fake.is_nexus = False
    for path in (
        "/ready",
        *(
            f"/api/v2/{rest}"
            for rest in ("agents", *(f"projects/prj_1/{one}" for one in ("report", "events", "files/a.md")))
        ),
    ):
        fake.on("GET", path, answer)
    said = nexus(*argv)
    assert (said.code, said.out) == (3, "")
    assert "none of nexus" in said.err
    assert len(said.err.splitlines()) == 1


def functions_of(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Every function that a command names, as the module and the name in it."""
    yield from (name for key in ("run", "on_server") if (name := parser.get_default(key)))
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from functions_of(verb)


def test_every_command_names_a_function_that_is_there():
    named = [*functions_of(cli.make_argument_parser())]
    assert len(named) > 30
    assert all(callable(resolve_name(f"nexus.cli.{name}")) for name in named)
