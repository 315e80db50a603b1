"""Commands that show and change things."""

import pytest
from msgspec import Struct
from rich.cells import cell_len as cells

from nexus.cli import agents, projects, sessions, tasks, tools
from nexus.cli.tables import Shape
from nexus.wire.agents import AgentView
from nexus.wire.projects import ProjectView, StageView
from nexus.wire.sessions import SessionView
from nexus.wire.tasks import TaskView
from nexus.wire.tools import ToolView
from tests.cli.conftest import Nexus
from tests.client import fake as say
from tests.client.fake import Fake
from tests.client.things import agent, project, reply, session, stages, started, task, version


def test_lists_are_tables_for_people(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents", say.listed([agent(agent_name="个税助手"), agent("agt_2", slug="two")]))
    said = nexus("agents", "list")
    lines = said.out.splitlines()
    assert said.code == 0
    assert lines[0].split() == ["ID", "SLUG", "STATUS", "VERDICT", "VERSION", "CREATED", "NAME"]
    assert lines[1].split() == ["agt_1", "unit_converter", "running", "passed", "1", "2026-03-04T05:06:07", "个税助手"]
    assert len(lines) == 3


def test_lists_are_one_document_for_programs(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/projects", say.listed([project()], "more"), say.listed([project("prj_2")], "even more"))
    said = nexus("projects", "list", "--status", "failed", "--limit", "2", "--json")
    assert [item["project_id"] for item in said.json["items"]] == ["prj_1", "prj_2"]
    assert said.json["next_cursor"] == "even more"
    assert [dict(seen.query) for seen in fake.seen] == [
        {"status": "failed", "limit": "2"},
        {"status": "failed", "limit": "1", "cursor": "more"},
    ]


def test_more_than_a_page_is_shown_when_it_is_asked_for(fake: Fake, nexus: Nexus):
    pages = [say.listed([agent(f"agt_{page}_{number}") for number in range(100)], "more") for page in range(2)]
    fake.on("GET", "/api/v2/agents", *pages, say.listed([agent("agt_last")]))
    assert len(nexus("agents", "list", "--all").out.splitlines()) == 202
    assert [seen.query.get("cursor") for seen in fake.seen] == [None, "more", "more"]


def test_people_are_told_that_there_are_more(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/projects", say.listed([project(f"prj_{number}") for number in range(50)], "more"))
    said = nexus("projects", "list")
    assert len(said.out.splitlines()) == 51
    assert "(The first 50: --all shows every one, --limit N so many.)" in said.err


def test_agents_are_listed_by_category_state_and_verdict(fake: Fake, nexus: Nexus):
    agents = [
        agent("agt_1", verdict="passed"),
        agent("agt_2", verdict="partial"),
        agent("agt_3", verdict="partial", status="error"),
    ]
    fake.on("GET", "/api/v2/agents", say.listed(agents[:1], "more"), say.listed(agents[1:]))
    said = nexus("agents", "list", "--category", "finance", "--status", "running", "--verdict", "partial", "--json")
    assert [item["agent_id"] for item in said.json["items"]] == ["agt_2"]
    assert [seen.query["category"] for seen in fake.seen] == ["finance", "finance"]


@pytest.mark.parametrize("columns", [80, 40])
def test_ids_slugs_and_names_are_whole_on_a_narrow_terminal(fake: Fake, nexus: Nexus, columns: int):
    long = agent(
        f"agt_{'0' * 26}", slug="unit_converter_for_kitchens_2", agent_name="Kitchen unit converter 厨房单位换算"
    )
    fake.on("GET", "/api/v2/agents", say.listed([long]))
    lines = nexus("agents", "list", columns=columns).out.splitlines()
    text = "".join(line.strip() for line in lines).replace(" ", "")
    assert all(long[name] in " ".join(lines) for name in ("agent_id", "slug"))
    assert "Kitchen" in text
    assert "…" not in text
    assert max(map(cells, lines)) <= columns


def test_an_empty_list_says_what_to_do_on_stderr(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents", say.listed([]))
    said = nexus("agents", "list")
    assert (said.code, said.out) == (0, "")
    assert "nexus build" in said.err


@pytest.mark.parametrize("before", [True, False])
def test_options_of_every_command_stand_before_or_after_the_verb(fake: Fake, nexus: Nexus, before: bool):
    fake.on("GET", "/api/v2/tasks/tsk_1", say.good(task()))
    options, words = ["--json", "--url", fake.url, "--token", "hush"], ["tasks", "show", "tsk_1"]
    said = nexus(*(options + words if before else words + options), NEXUS_URL="http://127.0.0.1:1")
    assert said.json["task_id"] == "tsk_1"
    assert fake.seen[0].headers["Authorization"] == "Bearer hush"


def test_the_token_comes_from_the_environment_and_is_never_shown(fake: Fake, nexus: Nexus):
    fake.on(
        "GET",
        "/api/v2/tasks/tsk_1",
        say.problem(401, title="Authentication required", detail="No token that is known."),
    )
    said = nexus("tasks", "show", "tsk_1", NEXUS_TOKEN="hush", NEXUS_DEBUG="1")
    assert said.code == 4
    assert fake.seen[0].headers["Authorization"] == "Bearer hush"
    assert "NEXUS_TOKEN" in said.err
    assert "hush" not in said.out + said.err


@pytest.mark.parametrize("wanted", ["agt_1", "unit_converter", "unit CONVERTER"])
def test_an_agent_is_named_by_id_slug_or_name(fake: Fake, nexus: Nexus, wanted: str):
    fake.on("GET", "/api/v2/agents/agt_1", say.good(agent()))
    fake.on("GET", "/api/v2/agents/agt_1/versions", say.listed([version()]))
    fake.on("GET", "/api/v2/agents", say.listed([agent(), agent("agt_2", slug="other", agent_name="Other")]))
    assert nexus("agents", "show", wanted, "--json").json["agent_id"] == "agt_1"


def test_a_name_that_several_agents_have_is_not_guessed(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents", say.listed([agent(), agent("agt_2")]))
    said = nexus("agents", "delete", "unit_converter")
    assert said.code == 2
    assert "agt_1, agt_2" in said.err
    assert [seen.method for seen in fake.seen] == ["GET"]


def test_an_agent_that_is_not_there_is_refused(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents", say.listed([]))
    assert nexus("agents", "show", "nobody").code == 4


def test_an_agent_is_called_and_a_failed_call_is_a_failure(fake: Fake, nexus: Nexus):
    called = {
        "invocation_id": "inv_1", "agent_id": "agt_1", "session_id": None, "user_id": "u", "input_text": "hi",
        "output_text": "hello", "status": "success", "duration_ms": 3, "input_tokens": 1, "output_tokens": 1,
        "error_message": None, "created_at": "x", "metadata": None,
    }  # fmt: skip
    fake.on("GET", "/api/v2/agents/agt_1", say.good(agent()))
    failed = called | {"status": "failed", "output_text": "", "error_message": "no key"}
    fake.on("POST", "/api/v2/agents/agt_1/invoke", say.good(called), say.good(failed))
    good, bad = nexus("agents", "invoke", "agt_1", "-", stdin=" hi\n"), nexus("agents", "invoke", "agt_1", "hi")
    assert (good.code, good.out) == (0, "hello\n")
    assert (bad.code, bad.out) == (1, "")
    assert "no key" in bad.err
    assert fake.asked("POST", "/api/v2/agents/agt_1/invoke")[0].json == {"content": "hi"}


def test_a_project_is_commanded(fake: Fake, nexus: Nexus):
    fake.on("POST", "/api/v2/projects/prj_1/control", say.good(project(status="queued"), 202))
    assert nexus("projects", "restart", "prj_1", "--from-stage", "prompt").code == 0
    assert nexus("projects", "pause", "prj_1").code == 0
    assert [seen.json for seen in fake.seen] == [{"action": "restart", "from_stage": "prompt"}, {"action": "pause"}]


def test_a_project_that_is_held_is_shown_with_how_many_are_before_it(fake: Fake, nexus: Nexus):
    fake.on("POST", "/api/v2/projects/prj_1/control", say.good(project(status="pending"), 202))
    fake.on("GET", "/api/v2/projects/prj_1", say.good(project(status="pending", position=1)))
    said = nexus("projects", "retry", "prj_1")
    assert "prj_1 is pending" in said.out
    assert "It waits for a place: 1 of your builds is before it." in said.err
    assert [line.split() for line in nexus("projects", "show", "prj_1").out.splitlines()][3:5] == [
        ["status", "pending"], ["position", "1"],
    ]  # fmt: skip


def test_a_command_that_does_not_fit_is_refused_with_the_servers_words(fake: Fake, nexus: Nexus):
    refusal = say.problem(
        409, title="The project's state does not allow this", detail="Cannot retry what is completed."
    )
    fake.on("POST", "/api/v2/projects/prj_1/control", refusal)
    said = nexus("projects", "retry", "prj_1", "--json")
    assert said.code == 4
    assert "Cannot retry what is completed." in said.err
    assert said.json["problem"]["status"] == 409


def test_bad_input_names_its_fields(fake: Fake, nexus: Nexus):
    faults = [{"pointer": "/requirement", "message": "at least ten characters"}]
    fake.on("GET", "/ready", say.good({}))
    fake.on("POST", "/api/v2/projects", say.problem(422, title="Not valid", detail="Too short.", errors=faults))
    said = nexus("build", "x")
    assert said.code == 4
    assert "/requirement: at least ten characters" in said.err


def test_what_the_refusal_says_already_is_not_said_again(fake: Fake, nexus: Nexus):
    told = "A requirement has at least 10 characters: say what the agent is to do."
    faults = [{"pointer": "/requirement", "message": told}, {"pointer": "/tags", "message": "too many"}]
    fake.on("GET", "/ready", say.good({}))
    fake.on("POST", "/api/v2/projects", say.problem(422, title="The input is not valid", detail=told, errors=faults))
    said = nexus("build", "tip split")
    assert said.err.count(told) == 1
    assert "/tags: too many" in said.err


def test_stages_files_and_reports_are_shown(fake: Fake, nexus: Nexus):
    where = "/api/v2/projects/prj_1"
    fake.on("GET", f"{where}/stages", say.listed(stages()))
    fake.on("GET", f"{where}/files", say.listed([{"path": "docs/表.md", "url": "/x"}]))
    fake.on("GET", f"{where}/files/docs/%E8%A1%A8.md", say.text("# 表\x1b[2J\n".encode()))
    fake.on("GET", f"{where}/report", say.text(b"# Report\n", "text/markdown"))
    assert nexus("projects", "stages", "prj_1").out.count("pending") == 9
    assert nexus("projects", "files", "prj_1").out == "docs/表.md\n"
    assert nexus("projects", "cat", "prj_1", "docs/表.md").out == "# 表[2J\n"
    assert nexus("projects", "report", "prj_1").out == "# Report\n"


@pytest.mark.parametrize("path", ["../secret", "a/../../b", "a//b", "."])
def test_a_path_that_leaves_the_project_is_not_even_asked_for(fake: Fake, nexus: Nexus, path: str):
    assert nexus("projects", "cat", "prj_1", path).code == 2
    assert fake.seen == []


def test_a_project_is_deleted(fake: Fake, nexus: Nexus):
    fake.on("DELETE", "/api/v2/projects/prj_1", say.good({"project_id": "prj_1", "task_id": "tsk_9"}, 202))
    assert nexus("projects", "delete", "prj_1", "--stop-first").code == 0
    assert fake.seen[0].query == {"stop_first": "true"}


def test_sessions_are_shown_and_deleted(fake: Fake, nexus: Nexus):
    message = {"session_id": "ses_1", "message_id": "msg_1", "created_at": "2026-03-04T05:06:07.000Z", "metadata": None}
    fake.on("GET", "/api/v2/sessions", say.listed([session()]))
    said = [message | {"role": "user", "content": "你好"}, message | {"role": "assistant", "content": "a\u202eb\x07"}]
    fake.on("GET", "/api/v2/sessions/ses_1/messages", say.listed(said))
    fake.on("DELETE", "/api/v2/sessions/ses_1", say.nothing())
    assert "ses_1" in nexus("sessions", "list").out
    shown = nexus("sessions", "messages", "ses_1").out
    assert "user:\n你好\n" in shown
    assert "assistant:\nab\n" in shown
    assert nexus("sessions", "delete", "ses_1", "--json").json == {"session_id": "ses_1", "deleted": True}


def test_what_the_server_sends_cannot_steer_the_terminal(fake: Fake, nexus: Nexus):
    fake.on("GET", "/api/v2/agents", say.listed([agent(agent_name="evil\x1b]0;title\x07\nnew line")]))
    out = nexus("agents", "list").out
    assert "\x1b" not in out
    assert "\x07" not in out
    assert len(out.splitlines()) == 2


def test_started_and_reply_views_stay_what_the_fakes_say() -> None:
    import msgspec

    from nexus.wire.projects import ProjectStarted
    from nexus.wire.sessions import ReplyView

    assert msgspec.convert(started(), ProjectStarted).project_id == "prj_1"
    assert msgspec.convert(reply(), ReplyView).reply_id == "msg_1"


@pytest.mark.parametrize(
    ("shape", "view"),
    [
        (tasks.TASKS, TaskView),
        (tools.TOOLS, ToolView),
        (sessions.SESSIONS, SessionView),
        (projects.PROJECTS, ProjectView),
        (projects.STAGES, StageView),
        (agents.AGENTS, AgentView),
    ],
)
def test_every_column_is_a_field_of_what_is_listed(shape: Shape, view: type[Struct]) -> None:
    assert {field for field in shape.columns.values() if isinstance(field, str)} <= set(view.__struct_fields__)
    assert set(shape.lesser) < set(shape.columns)
