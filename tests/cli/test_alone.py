"""`nexus agent run` and `nexus doctor`: what works without a server."""

from pathlib import Path

import pytest

from nexus.cli.doctor import report_findings
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


def test_a_model_that_is_not_there_is_named_before_anything_is_asked(nexus: Nexus, package: Path, tmp_path: Path):
    (package / "agent.toml").write_text(MANIFEST + '\n[model]\nname = "gpt-9"\n')
    said = nexus("agent", "run", str(package), "--message", "hi", NEXUS_DATA_DIR=str(tmp_path / "data"))
    assert (said.code, said.out) == (2, "")
    assert "agent.toml, [model]: There is no model 'gpt-9' here; there are default, offline." in said.err


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
    assert found["models.toml"]["advice"].startswith(f"chmod 600 {tmp_path / 'models.toml'}; ")
    assert "makes a new one" in found["secret"]["advice"]
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
    assert (
        report_findings(asked, [Finding(name="a", state="ok", detail="x"), Finding(name="b", state="warn", detail="y")])
        == 0
    )


CASES = """
[[cases]]
name = "length"
input = "10 miles in km"
calls = ["convert_units"]
contains = ["16.09"]
requirements = ["FR-1"]

[[cases]]
name = "weight"
input = "2 kg in g"
contains = ["2,001"]
requirements = ["FR-1", "FR-2"]
"""
UNIT_TEST = "from tools.twice import twice\n\n\ndef test_twice():\n    assert twice(2) == {}\n"


@pytest.fixture
def tested(package: Path) -> Path:
    (package / "tests").mkdir()
    (package / "tools").mkdir()
    (package / "tools" / "twice.py").write_text("def twice(x: int) -> int:\n    return 2 * x\n")
    (package / "tests" / "test_twice.py").write_text(UNIT_TEST.format(4))
    (package / "tests" / "cases.toml").write_text(CASES.replace("2,001", "2"))
    return package


def test_a_package_is_tested_by_requirement(nexus: Nexus, tested: Path, tmp_path: Path):
    said = nexus("agent", "test", str(tested), NEXUS_DATA_DIR=str(tmp_path / "data"))
    assert (said.code, said.err) == (0, "")
    assert "✔ tests/test_twice.py::test_twice" in said.out
    assert "✔ length (FR-1): 10 miles in km" in said.out
    assert "✔ FR-2: met" in said.out
    assert "3 of 3 passed (model: offline)." in said.out


def test_a_package_fails_with_the_case_and_the_requirement_that_are_not_met(nexus: Nexus, tested: Path, tmp_path: Path):
    (tested / "tests" / "cases.toml").write_text(CASES)
    said = nexus("agent", "test", str(tested), NEXUS_DATA_DIR=str(tmp_path / "data"))
    assert said.code == 1
    assert "✘ weight (FR-1, FR-2): 2 kg in g\n    the reply lacks '2,001'" in said.out
    assert "✘ FR-1: not met" in said.out
    as_json = nexus("agent", "test", str(tested), "--json", NEXUS_DATA_DIR=str(tmp_path / "data"))
    assert as_json.code == 1
    assert as_json.json["requirements"] == {"FR-1": False, "FR-2": False}
    assert [found["passed"] for found in as_json.json["cases"]] == [True, False]


def test_a_unit_test_that_fails_or_cannot_be_run_fails_the_package(nexus: Nexus, tested: Path, tmp_path: Path):
    for text in (UNIT_TEST.format(5), "import nowhere\n"):
        (tested / "tests" / "test_twice.py").write_text(text)
        said = nexus("agent", "test", str(tested), NEXUS_DATA_DIR=str(tmp_path / "data"))
        assert said.code == 1
        assert "✘" in said.out


@pytest.mark.parametrize("cases", ["[[cases", '[[cases]]\nname = "x"\n', None])
def test_a_package_without_tests_or_with_malformed_cases_is_refused(
    nexus: Nexus, package: Path, tmp_path: Path, cases: str | None
):
    (package / "tests").mkdir()
    if cases:
        (package / "tests" / "cases.toml").write_text(cases)
    said = nexus("agent", "test", str(package), NEXUS_DATA_DIR=str(tmp_path / "data"))
    assert said.code == 2
    assert "tests/cases.toml" in said.err
