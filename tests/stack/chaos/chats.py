"""Replies as the experiments need them: an agent that is there, replies that are being written, and readers who hear them."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tests.chaos.harness import must
from tests.chaos.streams import Reader
from tests.stack.chaos.world import World

JSON = dict[str, Any]
HEAR_SECONDS = 120.0


async def build_agent(world: World) -> str:
    """The id of an agent that answers."""
    await world.end_builds(await world.begin_builds(1), within=120)
    return str((await world.api.insist("GET", "/agents"))[1]["items"][0]["agent_id"])


async def begin_chats(world: World, agent_id: str, count: int) -> list[JSON]:
    """Replies that are being written, each in a session of its own."""
    return await asyncio.gather(*(_begin_chat(world, agent_id, number) for number in range(count)))


async def _begin_chat(world: World, agent_id: str, number: int) -> JSON:
    _, session = await world.api.insist("POST", f"/agents/{agent_id}/sessions", {}, key=f"session-{number}")
    path = f"/sessions/{session['session_id']}/messages"
    status, reply = await world.api.insist("POST", path, {"content": "double 2"}, key=f"message-{number}")
    must(status == 202, f"A message was answered {status}: {reply}")
    return {**reply, "messages": path}


async def follow_chats(world: World, chats: Sequence[JSON]) -> list[str]:
    """Hears all replies to their ends; a line for each whose text is not the one that is kept."""
    return [line for line in await asyncio.gather(*(_follow_chat(world, chat) for chat in chats)) if line]


async def _follow_chat(world: World, chat: JSON) -> str:
    reader = Reader(world.stack.url + chat["events_url"])
    await reader.follow(within=HEAR_SECONDS)
    positions = [heard.position for heard in reader.heard]
    must(positions == sorted(set(positions)), f"Positions came out of order or twice: {positions}")
    kept = (await world.api.insist("GET", chat["messages"]))[1]["items"][-1]["content"]
    is_whole = reader.last_tag == "reply.completed" and join_heard_text(reader) == kept
    return "" if is_whole else f"{reader.last_tag}: {join_heard_text(reader)!r}, kept is {kept!r}"


def join_heard_text(reader: Reader) -> str:
    """What a page would show: a reset voids what came before."""
    text = ""
    for heard in reader.heard:
        text = "" if heard.tag == "reply.reset" else text + heard.data.get("text", "") * (heard.tag == "reply.delta")
    return text
