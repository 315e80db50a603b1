"""The same path with a model behind the chat-completions wire."""

from pathlib import Path

from tests.journeys.conftest import Opens
from tests.journeys.doubler import CALL, REQUIREMENT, STAGES, WORDS, output, said
from tests.journeys.server import KEY, Provider


def test_a_malformed_answer_is_repaired_and_the_agent_streams_what_it_says(tmp_path: Path, opens: Opens) -> None:
    script = said(requirements=['{"functional": []}', output("requirements")], chat=[CALL, WORDS])
    with Provider(script) as model, opens(tmp_path / "data", **model.settings) as app:
        project = app.user.built(REQUIREMENT)
        assert project["status"] == "completed", project["error_info"]
        stages = {stage["stage_name"]: stage for stage in app.user.stages(project["project_id"])}
        assert {name: stage["attempt"] for name, stage in stages.items()} == dict.fromkeys(STAGES, 1)
        assert any("repaired 1 time" in line for line in stages["requirements"]["logs"])
        assert (stages["requirements"]["input_tokens"], stages["requirements"]["usage_unknown"]) == (20, False)
        assert model.asked() == [
            "intake", "requirements", "requirements", "architecture", "design", "tools", "prompt", *["chat"] * 4,
        ]  # fmt: skip
        heard = app.user.asks(project["agent_ids"][0], "double 2")
        assert [event.tag for event in heard.events if event.tag != "usage.recorded"] == [
            "reply.started", "tool.called", "tool.finished", *["reply.delta"] * 3, "reply.completed",
        ]  # fmt: skip
        assert (heard.text, heard.tools) == ("That is 4.", ["double_it"])


def test_an_agent_that_was_planned_to_ask_another_answers_with_what_that_one_said(tmp_path: Path, opens: Opens) -> None:
    ask = {"say": {"calls": [{"name": "ask_doubler", "arguments": {"message": "double 2"}}]}}
    duty = {"requirement": "FR-1", "tools": ["ask_doubler"]}
    desk = {"slug": "front_desk", "name": "Front desk", "purpose": "Asks.", "calls": ["doubler"], "duties": [duty]}
    planned, design = output("architecture"), output("design")
    asking = {**design, "cases": [{**design["cases"][0], "calls": ["ask_doubler"]}]}
    script = said(
        architecture=[{**planned, "agents": [desk, *planned["agents"]]}],
        design=[asking, design],
        prompt=[output("prompt")] * 2,
    )
    asked = [ask, CALL, WORDS, WORDS]
    script["chat"] = [*asked, CALL, WORDS, *asked, CALL, WORDS, *asked]
    with Provider(script) as model, opens(tmp_path / "data", **model.settings) as app:
        project = app.user.built(REQUIREMENT)
        assert (project["status"], project["verdict"]) == ("completed", "passed"), project
        agents = {agent["slug"]: agent for agent in app.user.agents(project)}
        assert agents.keys() == {"front_desk", "doubler"}
        heard = app.user.asks(agents["front_desk"]["agent_id"], "double 2")
        assert (heard.text, heard.tools) == ("That is 4.", ["ask_doubler"])


def test_four_malformed_answers_fail_the_build_and_say_why(tmp_path: Path, opens: Opens) -> None:
    script = said(requirements=["I would rather talk about the weather."])
    with Provider(script) as model, opens(tmp_path / "data", **model.settings) as app:
        project = app.user.built(REQUIREMENT)
        assert (project["status"], project["error_info"]["stage"]) == ("failed", "requirements")
        assert "not usable after 4 tries" in project["error_info"]["message"]
        assert model.asked() == ["intake", *["requirements"] * 4]
        assert project["agent_ids"] == []


def test_a_provider_that_refuses_the_key_fails_the_build_without_telling_it(tmp_path: Path, opens: Opens) -> None:
    with (
        Provider({**said(), "api_key": "sk-another"}) as model,
        opens(tmp_path / "data", **model.settings) as app,
    ):
        project = app.user.built(REQUIREMENT)
        assert (project["status"], project["error_info"]["stage"]) == ("failed", "intake")
        assert "key" in project["error_info"]["message"].lower()
        assert KEY not in app.user.text(f"/projects/{project['project_id']}/stages")
        assert model.asked() == ["intake"]
        app.server.stop()
        assert not any(KEY in line for line in app.server.said)


def test_a_provider_that_fails_for_a_while_is_waited_for_and_costs_no_attempt(tmp_path: Path, opens: Opens) -> None:
    fails = {"say": {"status": 503, "retry_after": "0"}}
    script = said(design=[*[fails] * 4, output("design")])
    with Provider(script) as model, opens(tmp_path / "data", **model.settings) as app:
        project = app.user.built(REQUIREMENT)
        assert (project["status"], project["error_info"]) == ("completed", None)
        assert project["metrics"]["verdict"] == "passed"
        assert {stage["attempt"] for stage in app.user.stages(project["project_id"])} == {1}
        assert model.asked().count("design") == 5
