"""A model in one step: chosen with a command, tried, served, and asked by a build."""

import json
from pathlib import Path

from tests.journeys.conftest import Opens
from tests.journeys.doubler import CALL, REQUIREMENT, WORDS, said
from tests.journeys.server import KEY, Provider, command


def test_a_model_that_was_chosen_answers_builds_and_a_running_server_is_to_be_restarted(
    tmp_path: Path, opens: Opens
) -> None:
    data = tmp_path / "data"
    script = {**said(chat=[CALL, WORDS]), "api_key": KEY}
    with Provider(script) as model:
        with opens(data) as app:
            words = ("models", "use", "custom/scripted", "--base-url", model.url, "--key-env", "MY_KEY", "--json")
            chosen = command(*words, folder=tmp_path, MY_KEY=KEY)
            assert chosen.returncode == 0, chosen.stderr
            assert json.loads(chosen.stdout)["restart"] == str(app.server.pid)
            assert f"process {app.server.pid}) keeps its model until it is restarted" in chosen.stderr
            assert app.user.http.get("/health").json()["parts"]["llm"]["model"] == "offline"
        with opens(data, MY_KEY=KEY) as app:
            assert any(f"model: scripted at {model.url}" in line for line in app.server.said)
            project = app.user.built(REQUIREMENT)
            assert (project["status"], project["metrics"]["verdict"]) == ("completed", "passed")
            assert app.user.http.get("/health").json()["parts"]["llm"]["model"] == "scripted"
            assert KEY not in (data / "models.toml").read_text()
        refused = command("serve", "--port", "0", folder=tmp_path)
        assert (refused.returncode, "models.toml, line 7: the variable MY_KEY" in refused.stderr) == (2, True)
        assert command("models", "use", "offline", folder=tmp_path).returncode == 0
    with opens(data) as app:
        assert any("model: offline, no AI" in line for line in app.server.said)
