"""A model behind the wire plans an agent that leaves a requirement unmet: every surface says so, and it answers only once that is accepted."""

import json
from pathlib import Path

import msgspec

from tests.domain.builds.test_verdicts import PARTIAL, WHY
from tests.journeys.conftest import Opens
from tests.journeys.doubler import CALL, REQUIREMENT, WORDS, said
from tests.journeys.server import Provider, command

SCRIPT = {stage: [msgspec.json.decode(str(turn.pieces[0])) for turn in turns] for stage, turns in PARTIAL.items()}
REHEARSED = [CALL, WORDS]
"""What it says while it is verified: it is not deployed."""


def test_a_partial_agent_is_told_everywhere_and_deployed_by_the_command_that_is_printed(
    tmp_path: Path, opens: Opens
) -> None:
    script = {**said(**SCRIPT), "chat": [*REHEARSED, CALL, WORDS]}
    with Provider(script) as model, opens(tmp_path / "data", **model.settings) as app:
        url = str(app.user.http.base_url)
        done = command("build", REQUIREMENT, "--json", "--url", url, folder=tmp_path)
        told = [json.loads(line) for line in done.stdout.splitlines()]
        result, ended = told[-1]["data"], told[-2]
        assert (done.returncode, ended["event"], ended["data"]["verdict"]) == (5, "build.completed", "partial")
        [line] = ended["data"]["unmet"]
        assert line.startswith("FR-2") and WHY in line and result["unmet"] == [line]

        project_id = result["project_id"]
        dashboard = app.user.get(f"/projects/{project_id}/build")
        assert dashboard["project"]["verdict"] == dashboard["project"]["metrics"]["verdict"] == "partial"
        assert dashboard["project"]["metrics"]["unmet"] == [line]
        assert app.user.get("/projects")["items"][0]["verdict"] == "partial"
        assert WHY in app.user.text(f"/projects/{project_id}/report")
        [agent] = app.user.agents(dashboard["project"])
        assert (agent["verdict"], agent["active_version"]) == ("partial", 0)

        watched = command("projects", "watch", project_id, "--url", url, folder=tmp_path)
        assert (watched.returncode, line in watched.stdout) == (5, True)
        printed = watched.stdout.partition("Deploy it all the same: ")[2].splitlines()[0].split()
        deployed = command(*printed[printed.index("agents") :], folder=tmp_path)
        assert deployed.returncode == 0, deployed.stderr
        assert app.user.asks(agent["agent_id"], "double 2").text == "That is 4."
