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
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

SECRET = "The code of the safe is 4711-0815."


class Kept:
    """An app over a driver, and all bytes that this driver keeps."""

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


async def delete_session(app: MemoryApp, project: Project, session: Session) -> None:
    await app.services.session_deletions.soft_delete_session(ANN, session.session_id)


async def delete_agent(app: MemoryApp, project: Project, session: Session) -> None:
    await app.services.agents.delete(ANN, session.agent_id)


async def delete_project(app: MemoryApp, project: Project, session: Session) -> None:
    await app.services.deletions.delete_project(ANN, project.project_id)


async def told(app: MemoryApp, agent_id: str, text: str) -> Session:
    session = await app.services.sessions.create_session(ANN, agent_id)
    for _ in range(3):
        scripted(app).add(turn(text), purpose="reply")
        await app.services.sessions.send(ANN, session.session_id, "What is it?")
        await app.queue.wait_until_idle()
    return session


async def all_rows(app: MemoryApp) -> str:
    return repr([(await store(app).walk(table, Window(limit=100))).items for table in TABLES])


@pytest.mark.parametrize("delete", [delete_session, delete_agent, delete_project])
async def test_no_byte_of_a_reply_is_left_in_the_log_nor_in_any_row(
    kept: Kept, delete: Callable[[MemoryApp, Project, Session], Awaitable[None]]
) -> None:
    async with open_app(structs.replace(make_adapters(script()), log=kept.log)) as app:
        project = await built(app)
        session = await told(app, project.agent_ids[0], SECRET)
        assert SECRET.encode() in kept.bytes_of()
        assert SECRET in await all_rows(app)
        await delete(app, project, session)
        await swept(app)
        assert SECRET.encode() not in kept.bytes_of()
        assert SECRET not in await all_rows(app)


async def test_the_logs_of_other_sessions_stay(kept: Kept) -> None:
    async with open_app(structs.replace(make_adapters(script()), log=kept.log)) as app:
        project = await built(app)
        session = await told(app, project.agent_ids[0], SECRET)
        await told(app, project.agent_ids[0], "Nobody deletes this.")
        await delete_session(app, project, session)
        await swept(app)
        assert SECRET.encode() not in kept.bytes_of()
        assert b"Nobody deletes this." in kept.bytes_of()


async def test_the_feeds_of_a_deleted_project_are_gone() -> None:
    async with open_app(make_adapters(script())) as app:
        project = await built(app)
        assert await left(app, EVENTS)
        await app.services.deletions.delete_project(ANN, project.project_id)
        await swept(app)
        assert await left(app, EVENTS) == {}
