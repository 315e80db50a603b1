"""Routes of sessions: conversations, their messages, and replies as they are written."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any

from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody

from nexus.adapters.http.answers import API, Answer, convert_page_to_wire, convert_to_wire
from nexus.adapters.http.requests import JSONRequest, newest
from nexus.adapters.http.routes import Id, Once, Position, Routes, Wait, Window
from nexus.adapters.http.sse import ServerSentEvents
from nexus.adapters.http.streams import EventStream, Restart, Streams
from nexus.domain.sessions.model import LOG_LOST, Part, Reply, TextPart
from nexus.wire import sessions as wire
from nexus.wire.lists import Listed

route = Routes("sessions")

FINISHED = ResponseSpec(
    wire.ReplyView, description="The finished reply, as `Prefer: wait` asked for.", generate_examples=False
)


@route("POST /agents/{agent_id:str}/sessions")
async def create_session(
    request: JSONRequest, agent_id: Id, data: JSONBody[wire.NewSession], once: Once
) -> Answer[wire.SessionView]:
    """Begins a conversation with an agent."""
    session = await request.services.sessions.create_session(
        request.caller, agent_id, display_name=data.display_name, metadata=data.metadata, once=once
    )
    headers = {"location": f"{API}/sessions/{session.session_id}"}
    return Answer(convert_to_wire(session, wire.SessionView), headers=headers)


@route("GET /agents/{agent_id:str}/sessions")
async def list_sessions_of_agent(request: JSONRequest, agent_id: Id, window: Window) -> Listed[wire.SessionView]:
    """The caller's conversations with an agent, the last one that was active first."""
    return convert_page_to_wire(
        await request.services.sessions.list_sessions(request.caller, newest(window), agent_id=agent_id),
        wire.SessionView,
    )


@route("GET /sessions")
async def list_sessions(request: JSONRequest, window: Window) -> Listed[wire.SessionView]:
    """The caller's conversations, the last one that was active first."""
    return convert_page_to_wire(
        await request.services.sessions.list_sessions(request.caller, newest(window)), wire.SessionView
    )


@route("GET /sessions/{session_id:str}")
async def get_session(request: JSONRequest, session_id: Id) -> wire.SessionView:
    """A conversation as it stands."""
    return convert_to_wire(await request.services.sessions.get(request.caller, session_id), wire.SessionView)


@route("PATCH /sessions/{session_id:str}", 409)
async def rename_session(request: JSONRequest, session_id: Id, data: JSONBody[wire.SessionChanges]) -> wire.SessionView:
    """Gives a conversation another name."""
    session = await request.services.sessions.rename(request.caller, session_id, data.display_name)
    return convert_to_wire(session, wire.SessionView)


@route("DELETE /sessions/{session_id:str}", 409)
async def delete_session(request: JSONRequest, session_id: Id) -> None:
    """The conversation is gone; a reply that is being written is stopped."""
    await request.services.session_deletions.soft_delete_session(request.caller, session_id)


@route("GET /sessions/{session_id:str}/messages")
async def list_messages(request: JSONRequest, session_id: Id, window: Window) -> Listed[wire.MessageView]:
    """What was said, oldest first."""
    return convert_page_to_wire(
        await request.services.sessions.list_messages(request.caller, session_id, window), wire.MessageView
    )


@route("POST /sessions/{session_id:str}/messages", 409, 429, status_code=202, also={200: FINISHED})
async def send_message(
    request: JSONRequest, session_id: Id, data: JSONBody[wire.NewMessage], once: Once, wait: Wait
) -> Answer[wire.ReplyStartedView | wire.ReplyView]:
    """Says something. The reply is told at `events_url`; with `Prefer: wait=N`, the answer is the finished reply (200) when it
    ends in that time."""
    reply = await request.services.sessions.send(request.caller, session_id, _get_message_content(data), once=once)
    if wait and (ended := await _wait_for_reply_end(request, reply, wait)) is not None:
        return Answer(
            convert_to_wire(ended, wire.ReplyView), status_code=200, headers={"preference-applied": f"wait={wait}"}
        )
    return _make_reply_started_answer(session_id, reply)


@route("POST /sessions/{session_id:str}/stream", 409, 429, status_code=200, stream="reply")
async def stream_reply(
    request: JSONRequest, session_id: Id, data: JSONBody[wire.NewMessage], once: Once
) -> EventStream:
    """Says something, and answers with the reply's events as they come. Closing the connection stops nothing; to go on reading,
    use the address in `Content-Location`."""
    reply = await request.services.sessions.send(request.caller, session_id, _get_message_content(data), once=once)
    await asyncio.sleep(0)  # the reply begins: its model is asked while the rest of this is done
    follow = partial(request.services.sessions.stream_reply_events, request.caller, session_id, reply.reply_id)
    return await _open_event_stream(follow, _make_reply_events_url(session_id, reply.reply_id), request.streams)


@route("GET /sessions/{session_id:str}/replies/{reply_id:str}/events", stream="reply")
async def follow_reply(request: JSONRequest, session_id: Id, reply_id: Id, position: Position) -> EventStream:
    """The events of a reply from any position on: what was told already, then what comes."""
    follow = partial(request.services.sessions.stream_reply_events, request.caller, session_id, reply_id)
    return await _open_event_stream(follow, _make_reply_events_url(session_id, reply_id), request.streams, position)


@route("POST /sessions/{session_id:str}/replies/{reply_id:str}/cancel", 409, status_code=202)
async def cancel_reply(request: JSONRequest, session_id: Id, reply_id: Id) -> wire.ReplyView:
    """Stops a reply; what was written so far is kept. Nothing happens when it is over."""
    return convert_to_wire(await request.services.sessions.cancel(request.caller, session_id, reply_id), wire.ReplyView)


@route("POST /sessions/{session_id:str}/messages/{message_id:str}/regenerate", 409, 429, status_code=202)
async def regenerate_message(
    request: JSONRequest, session_id: Id, message_id: Id, once: Once
) -> Answer[wire.ReplyStartedView | wire.ReplyView]:
    """Writes the last answer again; the old one is gone."""
    return _make_reply_started_answer(
        session_id, await request.services.sessions.regenerate(request.caller, session_id, message_id, once=once)
    )


def _get_message_content(message: wire.NewMessage) -> str | Sequence[Part]:
    if message.content is not None:
        return message.content
    return [TextPart(part.text) for part in message.parts or ()]


def _make_reply_events_url(session_id: str, reply_id: str) -> str:
    return f"{API}/sessions/{session_id}/replies/{reply_id}/events"


def _make_reply_started_answer(session_id: str, reply: Reply) -> Answer[wire.ReplyStartedView | wire.ReplyView]:
    url = _make_reply_events_url(session_id, reply.reply_id)
    content = wire.ReplyStartedView(session_id=session_id, reply_id=reply.reply_id, status=reply.status, events_url=url)
    return Answer(content, status_code=202, headers={"location": url})


async def _open_event_stream(follow: partial[Any], url: str, streams: Streams, after: int = 0) -> EventStream:
    return EventStream(
        await follow(after),
        streams=streams,
        encoder=ServerSentEvents(),
        restart=Restart(LOG_LOST, follow),
        headers={"content-location": url},
    )


async def _wait_for_reply_end(request: JSONRequest, reply: Reply, seconds: float) -> Reply | None:
    """The reply once it is over, if that is within so many seconds."""
    try:
        async with request.streams.limit_stream_duration(seconds):
            batches = await request.services.sessions.stream_reply_events(
                request.caller, reply.session_id, reply.reply_id
            )
            while batches is not None and await anext(batches, None) is not None:
                continue
    except TimeoutError:
        return None
    ended = await request.services.sessions.get_reply(request.caller, reply.session_id, reply.reply_id)
    return None if ended.status == "running" else ended
