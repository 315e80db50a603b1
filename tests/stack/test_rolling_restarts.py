"""A new release goes out while people build and chat: every process is stopped and started again, one after the other."""

import asyncio
import signal
from itertools import cycle, islice
from pathlib import Path

from nexus.client.client import Client
from tests.stack.processes import APIS, WORKERS, Stack

RESTARTS = 20
ORDER = tuple(islice(cycle((APIS[0], WORKERS[0], APIS[1], WORKERS[1])), RESTARTS))
BUILD_SECONDS = 120


async def test_nothing_fails_while_every_process_is_restarted_twenty_times(tmp_path: Path) -> None:
    with Stack(tmp_path) as stack:
        await asyncio.to_thread(stack.start)
        async with Client(stack.url) as client:
            agent_id = (await build_agent(client))[0]
            async with asyncio.timeout(RESTARTS * 5 + BUILD_SECONDS), asyncio.TaskGroup() as group:
                builds, chats = list[asyncio.Task[list[str]]](), list[asyncio.Task[str]]()
                for name in ORDER:
                    builds.append(group.create_task(build_agent(client)))
                    chats.append(group.create_task(ask_agent(client, agent_id)))
                    await asyncio.sleep(0.1)
                    await asyncio.to_thread(restart_process, stack, name)
            assert [len(build.result()) for build in builds] == [1] * RESTARTS
            assert all("26.0976 mi" in chat.result() for chat in chats)


def restart_process(stack: Stack, name: str) -> None:
    stack.kill(name, signal.SIGTERM)
    assert stack.started[name].process.returncode == 0, name
    stack.start_nexus(name)
    if name in APIS:
        stack.wait_ready(name)


async def build_agent(client: Client) -> list[str]:
    """The agents of a build that took the first attempt of each stage."""
    started = await client.create_project("An agent that converts kilometres to miles")
    events = [event async for event in client.stream_build_events(started.project_id)]
    assert events[-1].tag == "build.completed", events[-1]
    assert [event.position for event in events] == list(range(1, len(events) + 1))
    assert {stage.attempt for stage in await client.list_build_stages(started.project_id)} == {1}
    return (await client.project(started.project_id)).agent_ids


async def ask_agent(client: Client, agent_id: str) -> str:
    session = await client.open_session(agent_id)
    text = ""
    async for event in client.send_and_stream_reply(session.session_id, "How many miles are 42 km?"):
        if event.tag == "reply.reset":
            text = ""
        elif event.tag == "reply.delta":
            text += event.data["text"]
        else:
            assert event.tag not in ("reply.failed", "reply.cancelled", "reply.interrupted"), event
    messages = [message async for message in client.list_messages(session.session_id)]
    assert [message.content for message in messages][1:] == [text], "kept once, as it was heard"
    return text
