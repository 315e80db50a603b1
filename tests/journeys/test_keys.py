"""An Idempotency-Key through a crash: what was asked under it is answered once, for all who ask again."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.journeys.conftest import Opens
from tests.journeys.doubler import REQUIREMENT, said
from tests.journeys.server import Provider
from tests.journeys.user import API, User

TIMES = 8


def invoke(user: User, agent_id: str) -> httpx.Response:
    return user.http.post(
        f"{API}/agents/{agent_id}/invoke", json={"content": "talk"}, headers={"Idempotency-Key": "the same"}
    )


def test_an_invocation_whose_server_was_killed_is_made_once_more_for_all_who_ask_under_its_key(
    tmp_path: Path, opens: Opens
) -> None:
    stalled = {"say": {"pieces": ["Half "], "stall": True}}
    with Provider(said(chat=[stalled, "All of it.", "Once too often."])) as model, ThreadPoolExecutor(TIMES) as pool:
        with opens(tmp_path / "data", **model.settings) as app:
            [agent_id] = app.user.built(REQUIREMENT)["agent_ids"]
            before = model.asked().count("chat")
            cut = pool.submit(invoke, app.user, agent_id)
            model.wait_for("chat", before + 1)
            app.server.kill()
            assert isinstance(cut.exception(), httpx.TransportError)
        with opens(tmp_path / "data", **model.settings) as app:
            answers = [one.result() for one in [pool.submit(invoke, app.user, agent_id) for _ in range(TIMES)]]
            assert {(answer.status_code, answer.json()["output_text"]) for answer in answers} == {(200, "All of it.")}
            assert len({answer.content for answer in answers}) == 1
            assert invoke(app.user, agent_id).content == answers[0].content
            assert model.asked().count("chat") == before + 2
