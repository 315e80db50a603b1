"""What was said to somebody is gone from the logs with the session, the agent or the project that it belonged to."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec import structs

from nexus.composition.tables import TABLES
from nexus.domain.events.tables import EVENTS
from nexus.domain.ports.database import Window
from nexus.domain.ports.log import EventLog, LogDriver
from nexus.domain.projects.model import Project
from nexus.domain.sessions.model import Session
from tests.contracts.conftest import sqlite_log
from tests.domain.builds.scripts import script
from tests.domain.test_known_failures_of_stores import built, left, scripted, store
from tests.domain.test_purges_and_bounds import swept
from tests.fakes.log import MemoryLog
from tests.fakes.models import turn
from tests.house import ANN, House, open_house, world

SECRET = "The code of the safe is 4711-0815."


class Kept:
    """A house over a driver, and all bytes that this driver keeps."""

    def __init__(self, driver: LogDriver, bytes_of: Callable[[], bytes]) -> None:
        self.log, self.bytes_of = EventLog(driver), bytes_of


@pytest.fixture(params=["memory", "sqlite"])
async def kept(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Kept]:
    async with AsyncExitStack() as stack:
        if request.param == "memory":
            memory = MemoryLog()
            yield Kept(memory, lambda: repr(vars(memory)).encode())
        else:
            driver = await stack.enter_async_context(sqlite_log(tmp_path / "nexus.db"))
            yield Kept(driver, lambda: b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir())))


async def delete_session(house: House, project: Project, session: Session) -> None:
    await house.services.session_deletions.delete(ANN, session.session_id)


async def delete_agent(house: House, project: Project, session: Session) -> None:
    await house.services.agents.delete(ANN, session.agent_id)


async def delete_project(house: House, project: Project, session: Session) -> None:
    await house.services.deletions.delete(ANN, project.project_id)


async def told(house: House, agent_id: str, text: str) -> Session:
    session = await house.services.sessions.open(ANN, agent_id)
    for _ in range(3):
        scripted(house).add(turn(text), purpose="reply")
        await house.services.sessions.send(ANN, session.session_id, "What is it?")
        await house.queue.wait_idle()
    return session


async def all_rows(house: House) -> str:
    return repr([(await store(house).walk(table, Window(limit=100))).items for table in TABLES])


@pytest.mark.parametrize("delete", [delete_session, delete_agent, delete_project])
async def test_no_byte_of_a_reply_is_left_in_the_log_nor_in_any_row(
    kept: Kept, delete: Callable[[House, Project, Session], Awaitable[None]]
) -> None:
    async with open_house(structs.replace(world(script()), log=kept.log)) as house:
        project = await built(house)
        session = await told(house, project.agent_ids[0], SECRET)
        assert SECRET.encode() in kept.bytes_of()
        assert SECRET in await all_rows(house)
        await delete(house, project, session)
        await swept(house)
        assert SECRET.encode() not in kept.bytes_of()
        assert SECRET not in await all_rows(house)


async def test_the_logs_of_other_sessions_stay(kept: Kept) -> None:
    async with open_house(structs.replace(world(script()), log=kept.log)) as house:
        project = await built(house)
        session = await told(house, project.agent_ids[0], SECRET)
        await told(house, project.agent_ids[0], "Nobody deletes this.")
        await delete_session(house, project, session)
        await swept(house)
        assert SECRET.encode() not in kept.bytes_of()
        assert b"Nobody deletes this." in kept.bytes_of()


async def test_the_feeds_of_a_deleted_project_are_gone() -> None:
    async with open_house(world(script())) as house:
        project = await built(house)
        assert await left(house, EVENTS)
        await house.services.deletions.delete(ANN, project.project_id)
        await swept(house)
        assert await left(house, EVENTS) == {}
