"""Whatever is said to an agent, everybody else is answered meanwhile."""

from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import httpx

from tests.journeys.conftest import ServedApp
from tests.journeys.user import API

REQUIREMENT = "An agent that converts units and computes loan payments"
LONGEST = 50_000
PATIENCE = 5.0
"""Seconds: far more than an answer of /health takes, far less than a pattern that goes wild."""

BEGINNINGS = ("Convert 12 inches to cm ", "What is 15% of 80 ", "一万公里是多少英里", "a,b\n1,2\nsum of ", "?")
PIECES = (
    " ",
    "what ",
    "0",
    "１",
    "1,",
    "(",
    '"',
    "汉",
    "and ",
    "&#",
    "\u0301",
    "convert ",
    "2026-01-01 ",
    "a,b\n",
    ", ",
)
TEXTS = [(before + piece * LONGEST)[:LONGEST] for before in BEGINNINGS[:2] for piece in PIECES] + [
    (before + " " * LONGEST)[:LONGEST] for before in BEGINNINGS
]


def test_health_answers_while_texts_of_any_kind_are_read(app: ServedApp) -> None:
    [agent_id] = app.user.built(REQUIREMENT)["agent_ids"]
    sessions = [app.user.session(agent_id) for _ in TEXTS]

    def say(session_id: str, text: str) -> httpx.Response:
        headers = {"prefer": "wait=25"}
        return app.user.http.post(f"{API}/sessions/{session_id}/messages", json={"content": text}, headers=headers)

    longest = 0.0
    with ThreadPoolExecutor(4) as pool:
        saying = [pool.submit(say, session_id, text) for session_id, text in zip(sessions, TEXTS, strict=True)]
        while not all(one.done() for one in saying):
            asked = monotonic()
            assert app.user.http.get("/health").status_code == 200
            longest = max(longest, monotonic() - asked)
    assert longest < PATIENCE
    answers = [one.result() for one in saying]
    assert {answer.status_code for answer in answers} == {200}, "every reply was over within its time"
    assert {answer.json()["status"] for answer in answers} == {"completed"}
