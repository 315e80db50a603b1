"""From nothing to an agent that answers, with default settings and no key."""

import subprocess
import tomllib
from pathlib import Path
from time import monotonic

from tests.journeys.conftest import Opens, ServedApp
from tests.journeys.doubler import STAGES
from tests.journeys.user import Json

ENGLISH = "An agent that converts units and computes loan payments, and explains its steps"
CHINESE = "一个能换算单位、计算贷款月供并解释步骤的智能体"
DOCUMENTS = ("docs/brief.md", "docs/requirements.md", "docs/architecture.md")
PACKAGE = (
    "agent.toml",
    "prompt.md",
    "README.md",
    "requirements.txt",
    "tests/cases.toml",
    "docs/design.md",
    "docs/report.md",
)


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


def keys_of(folder: Path) -> list[str]:
    """What made each commit, oldest first."""
    return git(folder, "log", "--reverse", "--format=%(trailers:key=Nexus-Key,valueonly,separator=%x2C)").split()


def test_a_sentence_becomes_an_agent_that_answers(tmp_path: Path, opens: Opens) -> None:
    with opens(tmp_path / "data") as app:
        assert app.server.seconds_to_ready < 10
        agent = _built(app, ENGLISH, "passed")
        _conversation_goes_on(
            app,
            agent["agent_id"],
            [
                ("convert 10 km to miles", "convert_units", "6.2137", "Steps"),
                ("monthly payment on 200000 at 5% over 30 years", "loan_payment", "1073.64", "Steps"),
            ],
        )


def test_a_chinese_sentence_becomes_an_agent_that_writes_and_answers_in_chinese(app: ServedApp) -> None:
    agent = _built(app, CHINESE, "通过")
    assert agent["language"] == "zh"
    for path in (*DOCUMENTS, *(f"agents/{agent['slug']}/{path}" for path in ("prompt.md", "docs/report.md"))):
        text = app.user.text(f"/projects/{agent['project_id']}/files/{path}")
        chinese = sum("一" <= character <= "鿿" for character in text)
        latin = sum(character.isascii() and character.isalpha() for character in text)
        assert chinese > latin / 4, f"{path} is hardly Chinese: {text[:300]}"
    _conversation_goes_on(
        app,
        agent["agent_id"],
        [
            ("把10公里换算成英里", "convert_units", "6.2137", "步骤"),
            ("贷款20万，年利率5%，30年，每月还多少", "loan_payment", "1073.64", "步骤"),
        ],
    )


def _built(app: ServedApp, requirement: str, verdict: str) -> Json:
    """The agent, after a look at all that its build left."""
    began = monotonic()
    project_id = app.user.started(requirement)
    events = app.user.followed(project_id)
    assert monotonic() - began < 60
    assert events[-1].tag == "build.completed", events[-1].data
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert [event.data["stage"] for event in events if event.tag == "stage.completed"] == list(STAGES)
    project = app.user.project(project_id)
    assert (project["status"], project["progress"]) == ("completed", 100.0)
    [agent] = app.user.agents(project)
    _files_are_there(app, project_id, agent["slug"])
    assert project["metrics"]["tests_run"] == project["metrics"]["tests_passed"] > 0
    report = app.user.text(f"/projects/{project_id}/report")
    assert verdict in report
    assert str(project["metrics"]["tests_run"]) in report
    return agent


def _files_are_there(app: ServedApp, project_id: str, slug: str) -> None:
    """On the disk, in git, and over the API alike."""
    folder = app.project_folder(project_id)
    wanted = {*DOCUMENTS, *(f"agents/{slug}/{path}" for path in PACKAGE)}
    assert wanted <= set(app.user.files(project_id))
    assert all((folder / path).read_text() == app.user.text(f"/projects/{project_id}/files/{path}") for path in wanted)
    assert tomllib.loads((folder / f"agents/{slug}/agent.toml").read_text())
    assert keys_of(folder) == [f"1/{stage}" for stage in STAGES]
    assert git(folder, "status", "--porcelain") == ""
    assert [commit["key"] for commit in app.user.get(f"/projects/{project_id}/commits")["items"]][::-1] == keys_of(
        folder
    )


def _conversation_goes_on(app: ServedApp, agent_id: str, questions: list[tuple[str, str, str, str]]) -> None:
    session_id = app.user.session(agent_id)
    before = app.user.get(f"/sessions/{session_id}")
    for said, tool, number, steps in questions:
        heard = app.user.says(session_id, said)
        assert heard.ending == "reply.completed", heard.events[-1].data
        assert heard.tools == [tool]
        assert number in heard.text
        assert steps in heard.text
        tags = [event.tag for event in heard.events]
        assert tags.index("tool.called") < tags.index("tool.finished") < tags.index("reply.delta")
    after = app.user.get(f"/sessions/{session_id}")
    assert (before["message_count"], after["message_count"], after["active_reply"]) == (0, 2 * len(questions), None)
    assert after["last_active_at"] > before["last_active_at"]
    assert after["display_name"] == questions[0][0]
    spoken = [(message["role"], message["content"]) for message in app.user.messages(session_id)]
    assert [content for role, content in spoken if role == "user"] == [said for said, *_ in questions]
    assert all(number in content for (_, content), (_, _, number, _) in zip(spoken[1::2], questions, strict=True))
