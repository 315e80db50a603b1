"""`nexus models`: what answers, what is at hand, the choice of one, and what it can do."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Nexus, Said
from tests.cli.terminals import nexus_on_terminal
from tests.journeys.server import Provider

CALL = {"say": {"calls": [{"name": "add", "arguments": {"a": 17, "b": 25}}]}}
ABLE = {"answers": {"check_schema": [{"sum": 42}]}, "chat": ["pong", CALL, "pong", CALL]}


@pytest.fixture
def data(tmp_path: Path) -> str:
    return str(tmp_path / "data")


@pytest.fixture
def able() -> Iterator[Provider]:
    with Provider(ABLE) as server:
        yield server


def host(server: Provider) -> str:
    """Its address as `OLLAMA_HOST` has it."""
    return server.url.removeprefix("http://").removesuffix("/v1")


def shown(nexus: Nexus, data: str, **environ: str) -> Said:
    said = nexus("models", "--json", "--data-dir", data, **environ)
    assert said.code == 0, said.err
    return said


def test_without_anything_the_offline_model_answers_and_the_ways_on_are_named(nexus: Nexus, data: str):
    said = nexus("models", "--data-dir", data)
    assert (said.code, said.err) == (0, "")
    assert "offline, the built-in stand-in without AI (nothing else is configured)" in said.out
    assert shown(nexus, data).json["answers"] == {
        "model": "offline", "base_url": None, "key": None, "source": "default", "problem": None,
    }  # fmt: skip
    assert not Path(data).exists()


def test_keys_in_the_environment_are_found_by_name_and_never_shown(nexus: Nexus, data: str):
    keys = {
        "OPENAI_API_KEY": "sk-canary",
        "DASHSCOPE_API_KEY": "sk-canary",
        "DEEPSEEK_API_KEY": "  ",
        "GROQ_KEY": "canary",
    }
    said = shown(nexus, data, **keys)
    assert [(one["variable"], one["use"]) for one in said.json["keys"]] == [
        ("OPENAI_API_KEY", f"nexus models use openai/gpt-4o-mini --data-dir {data}"),
        ("DASHSCOPE_API_KEY", f"nexus models use dashscope/qwen-plus --data-dir {data}"),
    ]
    assert "canary" not in said.out + nexus("models", "--data-dir", data, **keys).out


def test_a_key_that_is_meant_for_another_place_is_offered_with_that_place(nexus: Nexus, data: str):
    environ = {"OPENAI_API_KEY": "sk-canary", "OPENAI_BASE_URL": "https://proxy.example/v1"}
    [key] = nexus("models", "--json", **environ).json["keys"]
    assert key["use"].endswith("openai/gpt-4o-mini --base-url https://proxy.example/v1 --key-env OPENAI_API_KEY")
    said = nexus("models", "use", "openai/x", "--data-dir", data, **environ)
    assert "OPENAI_API_KEY may be for another place: use it there with --base-url https://proxy.example/v1" in said.err
    [key] = nexus("models", "--json", **environ | {"OPENAI_BASE_URL": "https://u:canary@proxy.example"}).json["keys"]
    assert "--base-url" not in key["use"]


def test_a_server_on_this_machine_is_found_and_the_printed_command_chooses_it(nexus: Nexus, data: str, able: Provider):
    environ = {"OLLAMA_HOST": host(able)}
    found = shown(nexus, data, **environ).json["local"]
    [place] = [one for one in found if one["base_url"] == able.url]
    assert (place["provider"], place["models"]) == ("ollama", ["scripted"])
    assert f"Ollama at {able.url}: scripted" in nexus("models", "--data-dir", data, **environ).out
    words = place["use"].split()[1:]
    assert nexus(*words).code == 0
    assert shown(nexus, data).json["answers"] == {
        "model": "ollama/scripted", "base_url": able.url, "key": None, "source": "models.toml", "problem": None,
    }  # fmt: skip


def test_a_local_model_is_chosen_where_it_answers_and_a_name_that_it_lacks_is_told(
    nexus: Nexus, data: str, able: Provider
):
    said = nexus("models", "use", "ollama/other", "--data-dir", data, OLLAMA_HOST=host(able))
    assert (said.code, "does not list other now; it has scripted" in said.err) == (0, True)
    assert shown(nexus, data).json["answers"]["base_url"] == able.url
    absent = nexus("models", "use", "ollama/x", "--data-dir", data, OLLAMA_HOST="127.0.0.1:9")
    assert (absent.code, "No Ollama answers now: it is expected at http://127.0.0.1:11434/v1" in absent.err) == (
        0,
        True,
    )


def test_a_hosted_model_is_chosen_with_its_key_by_reference(nexus: Nexus, data: str):
    said = nexus("models", "use", "deepseek/deepseek-chat", "--data-dir", data, DEEPSEEK_API_KEY="sk-canary")
    assert (said.code, said.err) == (0, "")
    text = (Path(data) / "models.toml").read_text()
    assert 'key_env = "DEEPSEEK_API_KEY"' in text
    assert "canary" not in text + said.out
    answers = shown(nexus, data).json["answers"]
    assert (answers["key"], answers["problem"] is None) == ("DEEPSEEK_API_KEY", False)
    assert "It cannot be used" in nexus("models", "--data-dir", data).out


def test_a_key_that_comes_through_stdin_is_kept_in_the_file_and_shown_nowhere(nexus: Nexus, data: str):
    said = nexus("models", "use", "openai/gpt-4o-mini", "--key-stdin", "--data-dir", data, stdin="sk-canary\n")
    assert said.code == 0
    assert 'key = "sk-canary"' in (Path(data) / "models.toml").read_text()
    again = nexus("models", "--data-dir", data)
    assert "canary" not in said.out + said.err + again.out + shown(nexus, data).out
    assert shown(nexus, data).json["answers"]["key"] == "models.toml"
    assert nexus("models", "use", "offline", "--data-dir", data).code == 0
    assert nexus("models", "use", "openai/gpt-4o-mini", "--data-dir", data).code == 0, "the file has its key"
    assert shown(nexus, data).json["answers"]["key"] == "models.toml"


def test_another_address_does_not_get_the_key_of_the_provider_unless_that_is_said(nexus: Nexus, data: str):
    choose = ("models", "use", "openai/x", "--base-url", "https://a.example/v1", "--data-dir", data)
    said = nexus(*choose, OPENAI_API_KEY="sk-canary")
    assert "No key goes to https://a.example/v1" in said.err
    assert "key_env" not in (Path(data) / "models.toml").read_text()
    own = ("https://api.openai.com/v1/", "--data-dir", data)
    assert nexus("models", "use", "openai/y", "--base-url", *own, OPENAI_API_KEY="sk-canary").err == ""
    assert nexus(*choose, "--key-env", "OPENAI_API_KEY", OPENAI_API_KEY="sk-canary").err == ""
    assert shown(nexus, data, OPENAI_API_KEY="sk-canary").json["answers"]["key"] == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    ("words", "stdin", "told"),
    [
        (["opnai/x"], "", "Do you mean openai?"),
        (["gpt-4o-mini"], "", "PROVIDER/NAME"),
        (["deepseek/deepseek-chat"], "", "DEEPSEEK_API_KEY is not set"),
        (["custom/x"], "", "needs --base-url"),
        (["custom/x", "--base-url", "http://a/v1/chat/completions"], "", "--base-url is wrong: it is the address of one call: write http://a/v1."),
        (["custom/x", "--base-url", "http://u:canary@a/v1"], "", "--base-url is wrong"),
        (["openai/x", "--key-env", "sk-canary"], "", "--key-env takes the name of a variable, not a key"),
        (["openai/x", "--key-env", "QUOTED"], "", "QUOTED is wrong: it is in quotes"),
        (["openai/x", "--key-stdin"], "", "There is no key on stdin"),
        (["openai/x", "--key-stdin"], "Bearer canary", "The key is wrong: it holds white space"),
        (["openai/x", "--key-stdin"], "canary" * 2000, "The key is wrong: it is too long"),
        (["offline", "--base-url", "http://a/v1"], "", "neither an address nor a key"),
    ],
)  # fmt: skip
def test_a_choice_that_cannot_work_is_refused_and_nothing_is_written(
    nexus: Nexus, data: str, words: list[str], stdin: str, told: str
):
    said = nexus("models", "use", *words, "--data-dir", data, stdin=stdin, QUOTED="'canary'")
    assert (said.code, told in said.err) == (2, True), said.err
    assert "canary" not in said.err + said.out
    assert not Path(data).exists()


def test_a_data_directory_that_is_a_file_is_explained(nexus: Nexus, tmp_path: Path):
    (tmp_path / "README.md").write_text("# A file")
    said = nexus("models", "use", "offline", "--data-dir", str(tmp_path / "README.md"))
    assert (said.code, "README.md is a file, not a directory. Choose another one" in said.err) == (2, True)


def test_a_named_variable_may_be_set_elsewhere_and_that_is_said(nexus: Nexus, data: str):
    said = nexus("models", "use", "openai/x", "--key-env", "MY_KEY", "--data-dir", data)
    assert (said.code, "MY_KEY is not set here" in said.err) == (0, True)


@pytest.mark.parametrize(
    ("url", "open_wire"),
    [
        ("http://a.example/v1", True),
        ("https://a.example/v1", False),
        ("http://127.0.0.1:9/v1", False),
        ("http://[::1]:9/v1", False),
    ],
)
def test_a_key_that_would_leave_the_machine_unencrypted_is_told(nexus: Nexus, data: str, url: str, open_wire: bool):
    said = nexus("models", "use", "custom/x", "--base-url", url, "--key-stdin", "--data-dir", data, stdin="sk-canary")
    assert (said.code, "without encryption" in said.err) == (0, open_wire)


def test_what_wins_over_the_file_is_said_and_how_it_is_shown_is_true(nexus: Nexus, data: str):
    environ = {"NEXUS_MODEL__BASE_URL": "http://b.example/v1", "NEXUS_MODEL__NAME": "m"}
    said = nexus("models", "use", "offline", "--json", "--data-dir", data, **environ)
    assert said.json["overridden_by"] == ["NEXUS_MODEL__BASE_URL"]
    assert "NEXUS_MODEL__BASE_URL in the environment wins over models.toml" in said.err
    answers = shown(nexus, data, **environ).json["answers"]
    assert (answers["model"], answers["source"]) == ("m", "environment")


def test_a_broken_file_is_told_with_its_line_and_left_as_it_is(nexus: Nexus, data: str):
    Path(data).mkdir()
    (Path(data) / "models.toml").write_text('default = "offline"\nfoo = 1\n')
    for words in (["models"], ["models", "use", "offline"], ["models", "test"], ["doctor"], ["serve", "--port", "0"]):
        said = nexus(*words, "--data-dir", data)
        assert (said.code, "models.toml, line 2: 'foo' is no key" in said.err) == (2, True), (words, said.err)
    assert (Path(data) / "models.toml").read_text() == 'default = "offline"\nfoo = 1\n'


def test_the_test_tells_what_the_chosen_model_can_do(nexus: Nexus, data: str, able: Provider):
    nexus("models", "use", "custom/通义", "--base-url", able.url, "--data-dir", data)
    said = nexus("models", "test", "--data-dir", data)
    assert said.code == 0
    assert said.out.count("✔") == 3
    assert f"custom/通义 at {able.url}" in said.out
    assert able.asked() == ["chat", "check_schema", "chat"]
    report = nexus("models", "test", "--json", "--data-dir", data).json
    assert (report["model"], [check["name"] for check in report["checks"]]) == (
        "custom/通义",
        ["text", "schema", "tool"],
    )


@pytest.mark.parametrize(
    ("script", "code", "works"),
    [
        ({**ABLE, "api_key": "sk-right"}, 1, {"text": False}),
        ({"chat": [{"say": {"status": 500}}]}, 1, {"text": False}),
        ({"chat": [{"say": {"status": 404, "error": "model not found"}}]}, 1, {"text": False}),
        ({"chat": ["Hello."]}, 1, {"text": True, "schema": False, "tool": False}),
        ({**ABLE, "refuses": ["tools"]}, 0, {"text": True, "schema": True, "tool": False}),
        ({**ABLE, "refuses": ["response_format"]}, 0, {"text": True, "schema": True, "tool": True}),
    ],
)
def test_the_exit_code_says_whether_builds_can_use_the_model(
    nexus: Nexus, data: str, script: dict[str, object], code: int, works: dict[str, bool]
):
    with Provider(script) as server:
        environ = {"NEXUS_MODEL__BASE_URL": server.url, "NEXUS_MODEL__API_KEY": "sk-canary-canary"}
        said = nexus("models", "test", "--json", "--data-dir", data, **environ)
    assert {check["name"]: check["works"] for check in said.json["checks"]} == works
    assert said.code == code
    assert "canary" not in said.out


def test_a_dead_endpoint_fails_the_test_and_the_offline_model_has_none(nexus: Nexus, data: str):
    dead = nexus("models", "test", "--data-dir", data, NEXUS_MODEL__BASE_URL="http://127.0.0.1:9/v1")
    assert (dead.code, "✘ text: The model provider could not be reached" in dead.out) == (1, True)
    offline = nexus("models", "test", "--data-dir", data)
    assert (offline.code, "There is nothing to test" in offline.out) == (0, True)


def test_two_commands_at_once_leave_one_whole_file(data: str):
    environ = {name: value for name, value in os.environ.items() if not name.startswith("NEXUS_")}
    command = [
        sys.executable,
        "-m",
        "nexus",
        "models",
        "use",
        "--data-dir",
        data,
        "--base-url",
        "http://a.example/v1",
        "--json",
    ]
    processes = [
        subprocess.Popen([*command, f"custom/{number}"], env=environ, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        for number in range(3)
    ]
    written = [json.loads(process.communicate(timeout=60)[0])["model"] for process in processes]
    found = subprocess.run(
        [*command[:4], "--data-dir", data, "--json"], env=environ, capture_output=True, timeout=60, check=True
    )
    models = json.loads(found.stdout)
    assert sorted(models["models"]) == sorted(written) == ["custom/0", "custom/1", "custom/2"]
    assert models["answers"]["model"] in written


def test_a_key_that_is_typed_is_asked_for_and_not_echoed(data: str):
    words = ("models", "use", "deepseek/deepseek-chat", "--key-stdin", "--data-dir", data)
    with nexus_on_terminal(*words, environ={}) as terminal:
        terminal.until("it is not shown")
        terminal.type("sk-canary\r")
        terminal.until("answers from now on")
        assert terminal.end() == 0
    assert "canary" not in terminal.said
    assert 'key = "sk-canary"' in (Path(data) / "models.toml").read_text()


def test_ctrl_c_ends_the_asking_for_a_key_and_a_test_that_waits(data: str):
    words = ("models", "use", "deepseek/deepseek-chat", "--key-stdin", "--data-dir", data)
    with nexus_on_terminal(*words, environ={}) as terminal:
        terminal.until("it is not shown")
        terminal.type("\x03")
        assert terminal.end() == 130
    assert not Path(data).exists()
    with Provider({"chat": [{"say": {"text": "po", "stall": True}}]}) as server:
        environ = {"NEXUS_MODEL__BASE_URL": server.url}
        with nexus_on_terminal("models", "test", "--data-dir", data, environ=environ) as terminal:
            server.wait_for("chat")
            terminal.type("\x03")
            assert terminal.end() == 130
    assert "Traceback" not in terminal.said
