"""What a chat and a build ask of the tables: on DynamoDB each call costs money, and each wait for one is heard by a user."""

import asyncio
from collections.abc import AsyncIterator

from msgspec import structs

from nexus.adapters.memory.tables import MemoryTables
from nexus.adapters.offline.model import OfflineModel
from nexus.domain.ports.models import Delta, End, ModelRequest
from nexus.domain.projects.starts import Opening
from tests.fakes.counting import CountingTables
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app

WAITS_BEFORE_THE_MODEL, CALLS_OF_A_MESSAGE, READS_OF_A_BUILD = 2, 9, 120
QUESTION = "How many miles are 42 km?"


class WatchedModel(OfflineModel):
    """Notes how often the tables had to be waited for when it was first asked."""

    def __init__(self, tables: CountingTables) -> None:
        super().__init__()
        self._tables, self.waits = tables, -1

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta | End]:
        if self.waits < 0:
            self.waits = self._tables.round_trips
        return super().stream(request)


async def build_agent(app: MemoryApp) -> str:
    wanted = Opening(requirement="An agent that converts kilometres to miles")
    started = await app.services.builds.start(ANN, wanted)
    async for _ in await app.services.projects.stream_build_events(ANN, started.project_id):
        pass
    project = await app.services.projects.get(ANN, started.project_id)
    assert project.status == "completed"
    return project.agent_ids[0]


async def ask_agent(app: MemoryApp, session_id: str) -> str:
    """The text of the whole reply, after all that is done about it."""
    reply = await app.services.sessions.send(ANN, session_id, QUESTION)
    events = await app.services.sessions.stream_reply_events(ANN, session_id, reply.reply_id)
    assert events is not None
    async for _ in events:
        pass
    while app.adapters.local.has_job(reply.reply_id):
        await asyncio.sleep(0)
    return (await app.services.sessions.get_reply(ANN, session_id, reply.reply_id)).content


async def test_a_message_waits_for_the_tables_twice_before_the_model_is_asked_and_costs_nine_calls() -> None:
    tables = CountingTables(MemoryTables())
    model = WatchedModel(tables)
    async with open_app(structs.replace(make_adapters(model), tables=tables)) as app:
        session = await app.services.sessions.create_session(ANN, await build_agent(app))
        for _ in range(3):
            tables.reset()
            model.waits = -1
            assert "26.0976" in await ask_agent(app, session.session_id)
            assert model.waits <= WAITS_BEFORE_THE_MODEL, tables.summary
            assert len(tables.calls) <= CALLS_OF_A_MESSAGE + 1, tables.summary  # the last one is the test's
            assert tables.summary["write steps, replies"] == 3, "two answers of the model and a call of a tool"


async def test_a_build_reads_the_tables_less_than_a_hundred_and_twenty_times() -> None:
    tables = CountingTables(MemoryTables())
    async with open_app(structs.replace(make_adapters(OfflineModel()), tables=tables)) as app:
        tables.reset()
        await build_agent(app)
        assert tables.summary["read tasks, projects"] > 9, "it was not counted"
        assert tables.reads <= READS_OF_A_BUILD, tables.summary
