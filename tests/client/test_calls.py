"""Calls: what is sent, what is tried again, what is told of failures."""

import asyncio
import socket

import pytest

from nexus.client import ApiError, Client, NotNexus, Pauses, Unreachable
from nexus.client.pauses import parse_retry_after
from tests.client import fake as say
from tests.client.conftest import Clock
from tests.client.fake import Fake
from tests.client.things import agent, project, started


async def test_a_project_is_created_once_however_often_the_connection_fails(fake: Fake, client: Client, clock: Clock):
    fake.on("POST", "/api/v2/projects", say.dropped(), say.problem(503, retry_after="3"), say.good(started(), 202))
    made = await client.create_project("把公里换算成英里", name="换算", tags=["a"])
    sent = fake.asked("POST", "/api/v2/projects")
    assert made.project_id == "prj_1"
    assert [seen.json for seen in sent] == [
        {"requirement": "把公里换算成英里", "project_name": "换算", "tags": ["a"]}
    ] * 3
    assert len({seen.headers["Idempotency-Key"] for seen in sent}) == 1
    assert clock.slept[1] >= 3


async def test_two_creations_have_two_keys(fake: Fake, client: Client):
    fake.on("POST", "/api/v2/projects", say.good(started(), 202))
    await client.create_project("one of two things")
    await client.create_project("one of two things")
    assert len({seen.headers["Idempotency-Key"] for seen in fake.seen}) == 2


async def test_what_may_not_be_sent_twice_is_not(fake: Fake, client: Client):
    fake.on("POST", "/api/v2/projects/prj_1/control", say.dropped(), say.good(project(), 202))
    with pytest.raises(Unreachable):
        await client.send_build_command("prj_1", "restart")
    assert len(fake.seen) == 1


async def test_a_wish_may_be_sent_twice(fake: Fake, client: Client):
    fake.on("POST", "/api/v2/projects/prj_1/control", say.dropped(), say.good(project(status="paused"), 202))
    assert (await client.send_build_command("prj_1", "pause")).status == "paused"


async def test_tries_are_bounded_and_pauses_grow(fake: Fake, client: Client, clock: Clock):
    fake.on("GET", "/api/v2/agents/agt_1", say.problem(503, title="Not available now", detail="Later."))
    with pytest.raises(ApiError) as refused:
        await client.fetch_agent("agt_1")
    assert refused.value.problem.status == 503
    assert len(fake.seen) == 4
    assert clock.slept == sorted(clock.slept)
    assert len(clock.slept) == 3


async def test_a_refusal_is_the_problem_that_was_told(fake: Fake, client: Client):
    faults = [{"pointer": "/requirement", "message": "too short"}]
    fake.on("POST", "/api/v2/projects", say.problem(422, title="Not valid", detail="Too short.", errors=faults))
    with pytest.raises(ApiError) as refused:
        await client.create_project("x")
    problem = refused.value.problem
    assert (problem.title, problem.detail, problem.request_id) == ("Not valid", "Too short.", "req_1")
    assert [(fault.pointer, fault.message) for fault in problem.errors] == [("/requirement", "too short")]
    assert len(fake.seen) == 1


FOREIGN = [
    *(say.text(b"<html>no</html>", "text/html", status=status) for status in (200, 204, 400, 401, 403, 404, 405, 500)),
    *(say.good({"detail": "Not Found"}, status) for status in (200, 404, 422)),
    say.good([]),
    say.text(b'{"title": 3}', "application/problem+json", status=404),
    say.problem(404, type="about:blank", title="Not Found"),
    say.text(b"\xff\xfe", "application/octet-stream", status=418),
    say.nothing(302, Location="http://elsewhere.invalid/"),
    say.nothing(308, Location="/login"),
]


@pytest.mark.parametrize("answer", FOREIGN)
async def test_whatever_another_server_answers_it_is_told_from_a_refusal(
    fake: Fake, client: Client, answer: say.Answer
):
    fake.is_nexus = False
    for path in ("/ready", "/api/v2/agents", "/api/v2/projects/prj_1/report", "/api/v2/projects/prj_1/events"):
        fake.on("GET", path, answer)
    for call in (
        client.ready,
        client.list_agents().fetch_page,
        lambda: client.fetch_verification_report("prj_1"),
        lambda: anext(client.stream_build_events("prj_1")),
    ):
        with pytest.raises(NotNexus, match="none of nexus"):
            await call()


async def test_an_empty_answer_to_readers_of_events_is_the_end_only_from_a_nexus_server(fake: Fake, client: Client):
    fake.on("GET", "/api/v2/projects/prj_1/events", say.nothing(204))
    assert [event async for event in client.stream_build_events("prj_1")] == []


async def test_a_redirect_is_not_followed_with_the_token_and_names_the_other_address(fake: Fake, client: Client):
    fake.on("GET", "/api/v2/agents/agt_1", say.nothing(302, Location="http://elsewhere.invalid/"))
    with pytest.raises(NotNexus, match=r"use http://elsewhere\.invalid/ as the URL"):
        await client.fetch_agent("agt_1")
    assert len(fake.seen) == 1


@pytest.mark.parametrize(
    "said", [b"SSH-2.0-OpenSSH_9.2\r\n", b"\x15\x03\x01\x00\x02\x02\x50", b"hello\n", b"HTTP/x 1\r\n\r\n"]
)
async def test_what_speaks_no_http_is_none_of_nexus_and_is_asked_once(said: bytes, clock: Clock):
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(said)
        await writer.drain()
        writer.close()

    asked = list[bytes]()
    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, Client(url, sleep=clock.sleep) as client:
        with pytest.raises(NotNexus, match="speaks no HTTP"):
            await client.list_agents().fetch_page()
    assert len(asked) == 1


async def test_a_server_without_tls_is_told_when_tls_was_expected(fake: Fake, clock: Clock):
    async with Client(fake.url.replace("http:", "https:"), sleep=clock.sleep) as client:
        with pytest.raises(NotNexus, match="speaks no TLS"):
            await client.list_agents().fetch_page()


async def test_nobody_there_is_told_after_as_many_tries_as_the_caller_has_patience(clock: Clock):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"
        async with Client(url, pauses=Pauses(first_contact=1), sleep=clock.sleep) as client:
            with pytest.raises(Unreachable, match="nothing answers there"):
                await client.list_agents().fetch_page()
            with pytest.raises(Unreachable):
                await client.ready()
    assert clock.slept == []


async def test_readiness_is_asked_once(fake: Fake, client: Client):
    fake.on("GET", "/ready", say.good({}, 503), say.good({}))
    assert [await client.ready(), await client.ready()] == [False, True]
    assert len(fake.seen) == 2


async def test_the_token_goes_with_every_request_and_ids_cannot_leave_their_place(fake: Fake, client: Client):
    fake.on("GET", "/api/v2/agents/a%2Fb%3Fc", say.good(agent()))
    await client.fetch_agent("a/b?c")
    assert fake.seen[0].headers["Authorization"] == "Bearer secret"
    for wrong in ("", ".", ".."):
        with pytest.raises(ValueError, match="no id"):
            await client.fetch_agent(wrong)


async def test_the_content_of_a_file_comes_as_it_is(fake: Fake, client: Client):
    fake.on("GET", "/api/v2/projects/prj_1/files/docs/%E8%A1%A8.md", say.text(b"\x00\xff"))
    assert await client.fetch_project_file("prj_1", "docs/表.md", at="abc") == b"\x00\xff"
    assert fake.seen[0].query["at"] == "abc"


async def test_a_list_is_walked_to_its_end_though_a_page_is_empty(fake: Fake, client: Client):
    pages = [say.listed([agent("agt_1")], "c1"), say.listed([], "c2"), say.listed([agent("agt_2")])]
    fake.on("GET", "/api/v2/agents", *pages)
    found = [one.agent_id async for one in client.list_agents()]
    assert found == ["agt_1", "agt_2"]
    assert [seen.query.get("cursor") for seen in fake.seen] == [None, "c1", "c2"]


async def test_so_many_items_are_taken_out_of_as_many_pages_as_it_takes(fake: Fake, client: Client):
    pages = [say.listed([agent("agt_1"), agent("agt_2")], "c1"), say.listed([agent("agt_3"), agent("agt_4")], "c2")]
    fake.on("GET", "/api/v2/agents", *pages)
    found = await client.list_agents().filter_items(lambda one: one.agent_id != "agt_1").fetch_items(3)
    assert ([one.agent_id for one in found.items], found.next_cursor) == (["agt_2", "agt_3", "agt_4"], "c2")
    assert [seen.query["limit"] for seen in fake.seen] == ["3", "2"]


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "ftp://x", "http://", "http://u:p@x", "http://x?y=1"])
def test_an_address_that_is_none_is_refused(url: str):
    with pytest.raises(ValueError, match="address"):
        Client(url)


def test_a_token_that_is_none_is_refused_without_being_repeated():
    with pytest.raises(ValueError, match="token") as refused:
        Client("http://x", token="abc\r\nX-Evil: 1")
    assert "Evil" not in str(refused.value)


@pytest.mark.parametrize(("value", "seconds"), [("7", 7.0), ("", None), (None, None), ("soon", None)])
def test_the_wish_for_a_pause_is_read(value: str | None, seconds: float | None):
    assert parse_retry_after(value) == seconds


def test_pauses_grow_are_bounded_and_respect_a_wish():
    pauses = Pauses(shortest=1, longest=8, patience=60)
    assert [pauses.compute_retry_delay(failures, chance=lambda: 1.0) for failures in (1, 2, 3, 4, 5, 500)] == [
        1,
        2,
        4,
        8,
        8,
        8,
    ]
    assert pauses.compute_retry_delay(1, chance=lambda: 0.0) == 0.5
    assert pauses.compute_retry_delay(1, wished=20, chance=lambda: 0.0) == 20
    assert pauses.compute_retry_delay(1, wished=3600, chance=lambda: 1.0) == 60
