"""`nexus agent run` and `nexus doctor`: what works without a server."""

from pathlib import Path

import pytest

from nexus.cli.doctor import told
from nexus.doctor import Finding
from tests.cli.conftest import Nexus
from tests.client import fake as say
from tests.client.fake import Fake
from tests.journeys.server import Provider

CALL = {"say": {"calls": [{"name": "add", "arguments": {"a": 17, "b": 25}}]}}
MANIFEST = """
[agent]
slug = "unit_converter"
name = "Unit converter"

[[tools]]
ref = "library:convert_units"
"""
PROMPT = "You are Unit converter. Use `convert_units` for every conversion."


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "agents" / "unit_converter"
    folder.mkdir(parents=True)
    (folder / "agent.toml").write_text(MANIFEST)
    (folder / "prompt.md").write_text(PROMPT)
    return folder


def test_a_package_answers_from_its_folder_alone(nexus: Nexus, package: Path, tmp_path: Path):
    data = str(tmp_path / "data")
    said = nexus("agent", "run", str(package), "--message", "10 miles in km", "2 km in m", NEXUS_DATA_DIR=data)
    assert said.code == 0, said.err
    assert "16.09" in said.out
    assert "2000" in said.out or "2,000" in said.out
    assert "→ convert_units" in said.err


def test_lines_are_answered_until_the_end_of_input(nexus: Nexus, package: Path, tmp_path: Path):
    said = nexus(
        "agent", "run", str(package), stdin="10 miles in km\n", interactive=True, NEXUS_DATA_DIR=str(tmp_path / "data")
    )
    assert said.code == 0, said.err
    assert "16.09" in said.out


@pytest.mark.parametrize("manifest", ["[agent", "[agent]\nslug = 3", MANIFEST.replace("convert_units", "no_such_tool")])
def test_a_malformed_package_is_named_without_a_traceback(nexus: Nexus, package: Path, tmp_path: Path, manifest: str):
    (package / "agent.toml").write_text(manifest)
    said = nexus("agent", "run", str(package), "--message", "hi", NEXUS_DATA_DIR=str(tmp_path / "data"))
    assert said.code == 2
    assert said.err.startswith("nexus: ")
    assert "Traceback" not in said.err


def test_the_doctor_looks_at_every_part_and_at_the_server(fake: Fake, nexus: Nexus, tmp_path: Path):
    fake.on("GET", "/ready", say.good({}))
    said = nexus("doctor", "--json", "--data-dir", str(tmp_path / "data"))
    found = {finding["name"]: finding["state"] for finding in said.json}
    assert {"python", "git", "data directory", "sqlite", "code runner", "model", "server"} <= found.keys()
    assert found["server"] == "ok"
    assert said.code == (1 if "fail" in found.values() else 0)


def test_what_fails_is_said_with_advice_and_in_the_exit_code(nexus: Nexus, tmp_path: Path):
    (tmp_path / "data").write_text("a file in the way")
    said = nexus("doctor", "--data-dir", str(tmp_path / "data"), "--url", "http://127.0.0.1:9")
    assert said.code == 1
    assert "✘ data directory" in said.out
    assert "! server: http://127.0.0.1:9: nothing answers there" in said.out
    assert "nexus serve" in said.out


@pytest.mark.parametrize(
    ("script", "states"),
    [
        ({"answers": {"check_schema": [{"sum": 42}]}, "chat": ["pong", CALL]}, {"model": "ok", "model, schema": "ok", "model, tool": "ok"}),
        ({"answers": {"check_schema": [{"sum": 42}]}}, {"model": "ok", "model, schema": "ok", "model, tool": "warn"}),
        ({}, {"model": "ok", "model, schema": "fail", "model, tool": "warn"}),
        ({"api_key": "sk-right"}, {"model": "fail"}),
    ],
)  # fmt: skip
def test_the_doctor_asks_a_model_that_is_configured(
    nexus: Nexus, tmp_path: Path, script: dict[str, object], states: dict[str, str]
):
    with Provider(script) as server:
        environ = {"NEXUS_MODEL__BASE_URL": server.url, "NEXUS_MODEL__API_KEY": "sk-canary-canary"}
        said = nexus("doctor", "--json", "--data-dir", str(tmp_path / "data"), **environ)
    assert {one["name"]: one["state"] for one in said.json if one["name"].startswith("model")} == states
    assert "canary" not in said.out


def test_the_doctor_does_not_pass_a_dead_endpoint(nexus: Nexus, tmp_path: Path):
    said = nexus("doctor", "--data-dir", str(tmp_path / "data"), NEXUS_MODEL__BASE_URL="http://127.0.0.1:9/v1")
    assert (said.code, "✘ model: gpt-4o-mini at http://127.0.0.1:9/v1: The model provider could not" in said.out) == (
        1,
        True,
    )


def test_the_doctor_names_secrets_that_others_can_read_and_how_to_close_them(nexus: Nexus, tmp_path: Path):
    for name, mode in (("secret", 0o644), ("models.toml", 0o640)):
        (tmp_path / name).write_text('default = "offline"\n')
        (tmp_path / name).chmod(mode)
    found = {one["name"]: one for one in nexus("doctor", "--json", "--data-dir", str(tmp_path)).json}
    assert (found["secret"]["state"], "644" in found["secret"]["detail"]) == ("warn", True)
    assert found["models.toml"]["advice"] == f"chmod 600 {tmp_path / 'models.toml'}"
    for name in ("secret", "models.toml"):
        (tmp_path / name).chmod(0o600)
    assert not {"secret", "models.toml"} & {
        one["name"] for one in nexus("doctor", "--json", "--data-dir", str(tmp_path)).json
    }


def test_the_doctor_says_that_git_is_missing_and_that_a_token_is_short(
    nexus: Nexus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    said = nexus("doctor", "--json", "--data-dir", str(tmp_path / "data"), NEXUS_AUTH__TOKEN="abc")
    found = {one["name"]: one["state"] for one in said.json}
    assert (said.code, found["git"], found["settings"]) == (1, "fail", "warn")


def test_a_warning_is_no_failure():
    import io
    from argparse import Namespace

    from nexus.cli.asked import Asked
    from nexus.cli.output import Output

    asked = Asked(arguments=Namespace(), environ={}, output=Output(stdout=io.StringIO(), stderr=io.StringIO()))
    assert told(asked, [Finding(name="a", state="ok", detail="x"), Finding(name="b", state="warn", detail="y")]) == 0
