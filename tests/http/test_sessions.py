"""Conversations over HTTP."""

import asyncio

import pytest

from nexus.jobs.lanes import Lanes
from tests.domain.builds.scripts import doubling
from tests.fakes.models import Gate, turn
from tests.http.edge import NOBODYS, Reader, Site, frames, open_site, tags
from tests.memory_app import EVE


def url_of(site: Site, rest: str = "") -> str:
    return f"/api/v2/sessions/{site.session_id}{rest}"


async def test_a_session_is_made_listed_renamed_and_deleted() -> None:
    async with open_site() as site:
        body = {"display_name": "你好", "metadata": {"from": "test"}}
        key = {"idempotency-key": "k"}
        made = await site.client.post(f"/api/v2/agents/{site.agent_id}/sessions", json=body, headers=key)
        session = made.json()
        assert (made.status_code, session["display_name"], session["metadata"]) == (201, "你好", {"from": "test"})
        assert made.headers["location"] == f"/api/v2/sessions/{session['session_id']}"
        same = await site.client.post(f"/api/v2/agents/{site.agent_id}/sessions", json=body, headers=key)
        assert same.content == made.content
        listed = (await site.client.get("/api/v2/sessions")).json()["items"]
        assert [one["session_id"] for one in listed] == [session["session_id"], site.session_id]
        assert (await site.client.get(f"/api/v2/agents/{site.agent_id}/sessions")).json()["items"] == listed
        renamed = await site.client.patch(made.headers["location"], json={"display_name": "其他"})
        assert (renamed.status_code, renamed.json()["display_name"]) == (200, "其他")
        assert (await site.client.get(made.headers["location"])).json() == renamed.json()
        for wrong in ({}, {"display_name": ""}, {"display_name": "x" * 101}, {"status": "closed"}):
            assert (await site.client.patch(made.headers["location"], json=wrong)).status_code == 422, wrong
        assert (await site.client.delete(made.headers["location"])).status_code == 204
        assert (await site.client.get(made.headers["location"])).status_code == 404


async def test_metadata_has_a_limit() -> None:
    async with open_site() as site:
        url = f"/api/v2/agents/{site.agent_id}/sessions"
        for metadata in ({"a": "x" * 20_000}, {str(n): n for n in range(51)}, "text"):
            refused = await site.client.post(url, json={"metadata": metadata})
            assert (refused.status_code, refused.json()["errors"][0]["pointer"]) == (422, "/metadata")


async def test_a_reply_streams_and_can_be_read_again_from_anywhere() -> None:
    async with open_site() as site:
        site.will_say(*doubling())
        told = await site.client.post(url_of(site, "/stream"), json={"content": "double 2"})
        assert (told.status_code, told.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
        assert told.text.startswith("retry: 2000\n\n")
        every = frames(told.text)
        assert every[0]["event"] == "reply.started"
        assert every[-1]["event"] == "reply.completed"
        again = told.headers["content-location"]
        assert frames((await site.client.get(again)).text) == every
        assert frames((await site.client.get(again, headers={"last-event-id": "3"})).text) == every[3:]
        assert frames((await site.client.get(f"{again}?after=3")).text) == every[3:]
        read = await site.client.get(again, headers={"last-event-id": every[-1]["id"]})
        assert (read.status_code, read.content) == (204, b"")
        messages = (await site.client.get(url_of(site, "/messages"))).json()["items"]
        assert [(one["role"], one["content"]) for one in messages] == [
            ("user", "double 2"),
            ("assistant", "That is 4."),
        ]
        assert not {"tenant_id", "user_id"} & messages[0].keys()


async def test_pieces_come_as_they_are_written_and_leaving_stops_nothing() -> None:
    async with open_site() as site:
        gate = Gate()
        site.will_say(turn("one ", gate, "two"))
        async with Reader(site.edge.app, "POST", url_of(site, "/stream"), body=b'{"content":"count"}') as reader:
            heard = b""
            while b"reply.delta" not in heard:
                heard += await reader.piece()
            await gate.reached.wait()
            await reader.leave()
        assert len(site.edge.streams) == 0
        gate.opened.set()
        rest = await site.client.get(reader.headers["content-location"], headers={"last-event-id": "2"})
        assert tags(rest.text)[-1] == "reply.completed"
        messages = (await site.client.get(url_of(site, "/messages"))).json()["items"]
        assert messages[-1]["content"] == "one two"


async def test_a_position_that_the_log_does_not_have_begins_anew() -> None:
    async with open_site() as site:
        gate = Gate()
        site.will_say(turn("one ", gate, "two"))
        begun = (await site.client.post(url_of(site, "/messages"), json={"content": "count"})).json()
        await gate.reached.wait()
        async with Reader(site.edge.app, "GET", begun["events_url"], headers={"last-event-id": "99"}) as reader:
            heard = b""
            while b"reply.delta" not in heard:
                heard += await reader.piece()
            gate.opened.set()
            heard += await reader.rest()
        assert tags(heard.decode())[:2] == ["reply.reset", "reply.started"]
        assert tags(heard.decode())[-1] == "reply.completed"


async def test_a_message_is_accepted_and_its_reply_is_at_its_address() -> None:
    async with open_site() as site:
        site.will_say(turn("Good."))
        key = {"idempotency-key": "k"}
        sent = await site.client.post(url_of(site, "/messages"), json={"content": "hello"}, headers=key)
        assert sent.status_code == 202
        assert sent.headers["location"] == sent.json()["events_url"]
        assert tags((await site.client.get(sent.json()["events_url"])).text)[-1] == "reply.completed"
        same = await site.client.post(url_of(site, "/messages"), json={"content": "hello"}, headers=key)
        assert same.json()["reply_id"] == sent.json()["reply_id"]
        assert len((await site.client.get(url_of(site, "/messages"))).json()["items"]) == 2


async def test_who_prefers_to_wait_gets_the_finished_reply() -> None:
    async with open_site() as site:
        site.will_say(turn("Good."))
        done = await site.client.post(
            url_of(site, "/messages"), json={"content": "hello"}, headers={"prefer": "respond-async, wait=600"}
        )
        assert (done.status_code, done.json()["status"], done.json()["content"]) == (200, "completed", "Good.")
        assert done.headers["preference-applied"] == "wait=60"
        assert not {"worker_id", "fence", "dispatch", "due_at", "tenant_id", "heartbeat"} & done.json().keys()


async def test_a_drain_does_not_make_who_waits_wait() -> None:
    async with open_site() as site:
        gate = Gate()
        site.will_say(turn(gate, "late"))
        waiting = asyncio.ensure_future(
            site.client.post(url_of(site, "/messages"), json={"content": "hello"}, headers={"prefer": "wait=60"})
        )
        await gate.reached.wait()
        while not len(site.edge.streams):
            await asyncio.sleep(0)
        site.edge.streams.stop_all_streams()
        assert (await waiting).status_code == 202
        assert (await site.client.get("/ready")).status_code == 503


async def crowded(site: Site) -> tuple[Gate, str, str]:
    """The only place is taken: the gate at which its reply stands, and the addresses of two more sessions."""
    gate = Gate()
    site.will_say(turn("one ", gate, "two"))
    assert (await site.client.post(url_of(site, "/messages"), json={"content": "first"})).status_code == 202
    await gate.reached.wait()
    made = [await site.client.post(f"/api/v2/agents/{site.agent_id}/sessions", json={}) for _ in range(2)]
    first, second = (answer.headers["location"] for answer in made)
    return gate, first, second


async def test_a_stream_opens_though_its_reply_has_to_wait_and_then_tells_the_reply() -> None:
    async with open_site(queue=Lanes(interactive=1)) as site:
        gate, second, third = await crowded(site)
        site.will_say(turn("Second."), turn("Third."))
        async with Reader(site.edge.app, "POST", f"{second}/stream", body=b'{"content":"hello"}') as reader:
            heard = b""
            while b"reply.waiting" not in heard:
                heard += await reader.piece()
            waits = asyncio.ensure_future(
                site.client.post(f"{third}/messages", json={"content": "hello"}, headers={"prefer": "wait=60"})
            )
            gate.opened.set()
            heard += await reader.rest()
        assert [(frame["id"], frame["event"]) for frame in frames(heard.decode())] == [
            ("1", "reply.waiting"), ("2", "reply.started"), ("3", "reply.delta"), ("4", "usage.recorded"), ("5", "reply.completed"),
        ]  # fmt: skip
        assert b'"reason":"queue","position":0' in heard
        answer = await waits
        assert (answer.status_code, answer.json()["content"]) == (200, "Third.")


async def test_a_reply_that_waits_is_cancelled_at_once() -> None:
    async with open_site(queue=Lanes(interactive=1)) as site:
        gate, second, _ = await crowded(site)
        begun = (await site.client.post(f"{second}/messages", json={"content": "hello"})).json()
        ended = await site.client.post(f"{second}/replies/{begun['reply_id']}/cancel")
        assert (ended.status_code, ended.json()["status"]) == (202, "cancelled")
        assert tags((await site.client.get(begun["events_url"])).text) == ["reply.waiting", "reply.cancelled"]
        gate.opened.set()


async def test_who_comes_when_as_many_wait_as_may_is_told_how_many() -> None:
    async with open_site(queue=Lanes(interactive=1, waiting=1)) as site:
        gate, second, third = await crowded(site)
        site.will_say(turn("Second."))
        assert (await site.client.post(f"{second}/messages", json={"content": "hello"})).status_code == 202
        for route in ("messages", "stream"):
            refused = await site.client.post(f"{third}/{route}", json={"content": "hello"})
            problem = refused.json()
            assert (refused.status_code, problem["type"]) == (429, "urn:nexus:problem:quota-exceeded")
            assert (problem["position"], problem["limit"], problem["retry_after"]) == (2, 2, 1)
            assert refused.headers["retry-after"] == "1"
        assert (await site.client.get(f"{third}/messages")).json()["items"] == []
        gate.opened.set()


async def test_one_reply_at_a_time_and_cancel_keeps_what_was_written() -> None:
    async with open_site() as site:
        gate = Gate()
        site.will_say(turn("half ", gate, "never"))
        begun = (await site.client.post(url_of(site, "/messages"), json={"content": "talk"})).json()
        await gate.reached.wait()
        busy = await site.client.post(url_of(site, "/stream"), json={"content": "me too"})
        assert (busy.status_code, busy.json()["type"]) == (409, "urn:nexus:problem:reply-running")
        assert busy.json()["reply_id"] == begun["reply_id"]
        cancel = url_of(site, f"/replies/{begun['reply_id']}/cancel")
        assert (await site.client.post(cancel)).status_code == 202
        assert tags((await site.client.get(begun["events_url"])).text)[-1] == "reply.cancelled"
        ended = (await site.client.post(cancel)).json()
        assert (ended["status"], ended["content"]) == ("cancelled", "half ")


async def test_the_last_answer_is_written_again_and_no_other() -> None:
    async with open_site() as site:
        site.will_say(turn("bad"), turn("good"))
        wait = {"prefer": "wait=30"}
        first = (await site.client.post(url_of(site, "/messages"), json={"content": "hello"}, headers=wait)).json()
        wrong = await site.client.post(url_of(site, f"/messages/{first['asked']}/regenerate"))
        assert (wrong.status_code, wrong.json()["type"]) == (409, "urn:nexus:problem:not-last")
        again = await site.client.post(url_of(site, f"/messages/{first['reply_id']}/regenerate"))
        assert again.status_code == 202
        await site.client.get(again.json()["events_url"])
        messages = (await site.client.get(url_of(site, "/messages"))).json()["items"]
        assert [one["content"] for one in messages] == ["hello", "good"]


@pytest.mark.parametrize("route", ["messages", "stream"])
async def test_what_is_said_has_limits(route: str) -> None:
    async with open_site() as site:
        for wrong in (
            {},
            {"content": ""},
            {"content": "x" * 50_001},
            {"content": None},
            {"content": "x", "role": "system"},
        ):
            refused = await site.client.post(url_of(site, f"/{route}"), json=wrong)
            assert refused.status_code == 422, wrong
        site.will_say(turn("ok"))
        longest = await site.client.post(
            url_of(site, f"/{route}"), json={"content": "好" * 50_000}, headers={"prefer": "wait=30"}
        )
        assert longest.status_code == 200


async def test_a_message_may_come_in_parts() -> None:
    async with open_site() as site:
        site.will_say(turn("Good."))
        body = {"parts": [{"type": "text", "text": "Hello."}, {"type": "text", "text": "How are you?"}]}
        told = await site.client.post(url_of(site, "/stream"), json=body)
        assert tags(told.text)[-1] == "reply.completed"
        kept = (await site.client.get(url_of(site, "/messages"))).json()["items"]
        assert [message["content"] for message in kept] == ["Hello.\nHow are you?", "Good."]


@pytest.mark.parametrize(
    ("body", "pointer", "told"),
    [
        ({"parts": [{"type": "image", "url": "x"}]}, "/parts/0/type", "Invalid enum value 'image'"),
        ({"parts": [{"text": "untyped"}]}, "/parts/0/type", "missing required field `type`"),
        ({"parts": [{"type": "text", "text": ""}]}, "/parts/0/text", "length >= 1"),
        ({"parts": []}, "/parts", "length >= 1"),
        ({"parts": [{"type": "text", "text": "a" * 30_000}] * 2}, "", "at most 50000 characters together"),
        ({"parts": [{"type": "text", "text": "a"}], "content": "a"}, "", "`content` or `parts`, not both"),
        ({}, "/content", "Send parts, or the required field `content`"),
        ({"content": " \u3000\u200b\n"}, "/content", "blanks alone"),
        ({"parts": [{"type": "text", "text": " "}, {"type": "text", "text": "\t"}]}, "/parts", "blanks alone"),
    ],
)
async def test_parts_that_are_none_are_refused_with_their_place(body: object, pointer: str, told: str) -> None:
    async with open_site() as site:
        refused = await site.client.post(url_of(site, "/messages"), json=body)
        [fault] = refused.json()["errors"]
        assert (refused.status_code, fault.get("pointer", ""), told in fault["message"]) == (422, pointer, True), fault


async def test_messages_come_in_pages_oldest_first() -> None:
    async with open_site() as site:
        for n in range(3):
            site.will_say(turn(f"a{n}"))
            await site.client.post(url_of(site, "/messages"), json={"content": f"q{n}"}, headers={"prefer": "wait=30"})
        first = (await site.client.get(url_of(site, "/messages"), params={"limit": 4})).json()
        rest = (
            await site.client.get(url_of(site, "/messages"), params={"limit": 4, "cursor": first["next_cursor"]})
        ).json()
        said = [one["content"] for one in first["items"] + rest["items"]]
        assert said == ["q0", "a0", "q1", "a1", "q2", "a2"]
        assert rest["next_cursor"] is None


async def test_anothers_session_is_nowhere() -> None:
    async with open_site() as site:
        reply = NOBODYS["msg"]
        theirs = "ses_01K00000000000000000000001"
        for session in (theirs, "ses_1", EVE.user_id):
            for method, path in [
                ("GET", ""), ("DELETE", ""), ("GET", "/messages"), ("GET", f"/replies/{reply}/events"),
                ("POST", f"/replies/{reply}/cancel"), ("POST", f"/messages/{reply}/regenerate"),
            ]:  # fmt: skip
                answer = await site.client.request(method, f"/api/v2/sessions/{session}{path}")
                assert answer.status_code == 404, path
        assert (await site.client.get(url_of(site, f"/replies/{reply}/events"))).status_code == 404
        assert (await site.client.get(url_of(site, "/replies/msg_1/events"))).status_code == 404


async def test_metadata_that_nests_too_deep_is_refused_and_spoils_no_list() -> None:
    async with open_site() as site:
        url, fields = f"/api/v2/agents/{site.agent_id}/sessions", {"content-type": "application/json"}
        for levels in (19, 20, 30, 31, 500, *range(940, 1000, 2), 3000):
            body = '{"metadata":{"a":' + "[" * (levels - 1) + "]" * (levels - 1) + "}}"
            answer = await site.client.post(url, content=body, headers=fields)
            assert answer.status_code in ((201,) if levels <= 20 else (400, 422)), levels
            if answer.status_code == 422:
                assert answer.json()["errors"][0]["pointer"] == "/metadata"
        assert (await site.client.get("/api/v2/sessions")).status_code == 200
