"""What is deleted is gone, with all that hung on it."""

from tests.journeys.conftest import ServedApp
from tests.journeys.user import API


def test_a_deleted_project_is_gone_at_once_with_its_agent_and_its_conversations(app: ServedApp) -> None:
    project = app.user.built("An agent that converts units")
    [agent_id] = project["agent_ids"]
    session_id = app.user.session(agent_id)
    app.user.says(session_id, "convert 10 km to miles")
    addresses = [
        f"/projects/{project['project_id']}",
        f"/projects/{project['project_id']}/events",
        f"/projects/{project['project_id']}/files",
        f"/agents/{agent_id}",
        f"/sessions/{session_id}",
        f"/sessions/{session_id}/messages",
    ]
    assert [app.user.http.get(API + address).status_code for address in addresses[2:]] == [200] * 4
    assert app.user.http.delete(f"{API}/projects/{project['project_id']}").status_code == 202
    found = {address: app.user.http.get(API + address).status_code for address in addresses}
    assert found == dict.fromkeys(addresses, 404)
    assert agent_id not in [agent["agent_id"] for agent in app.user.get("/agents")["items"]]
    assert app.user.refused(f"/agents/{agent_id}/invoke", content="convert 10 km to miles").status_code == 404


def test_a_deleted_session_is_gone(app: ServedApp) -> None:
    project = app.user.built("An agent that converts units")
    session_id = app.user.session(project["agent_ids"][0])
    app.user.says(session_id, "convert 10 km to miles")
    assert app.user.http.delete(f"{API}/sessions/{session_id}").is_success
    assert app.user.http.get(f"{API}/sessions/{session_id}").status_code == 404
    assert app.user.http.get(f"{API}/sessions/{session_id}/messages").status_code == 404
    assert session_id not in [session["session_id"] for session in app.user.get("/sessions")["items"]]
    assert app.user.get(f"/agents/{project['agent_ids'][0]}")["status"] == "running"
