"""When the app itself is in trouble: the disk is full, the store is away. The work waits, and pays nothing for it."""

import asyncio
import random
from collections.abc import Mapping, Sequence

import pytest
from msgspec import structs

from nexus.domain.builds.model import Started
from nexus.domain.builds.runner import BuildTimeouts
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.database import TableDriver
from nexus.domain.ports.repository import ANYONE, Writer
from nexus.domain.ports.rows import Write
from nexus.jobs.sweeper import Sweeper
from tests.domain.builds.scripts import BRIEF, said, script
from tests.domain.builds.test_builds import WANTED
from tests.fakes.models import Gate, turn
from tests.fakes.repository import MemoryRepository
from tests.memory_app import ANN, MemoryApp, make_adapters, open_app


class FullDisk(MemoryRepository):
    """A repository whose disk is full for the next few commits."""

    refusals = 0

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("The storage is full.", reason="storage_full")
        return await super().commit(project_id, files, message=message, key=key, writer=writer)


class Flaky:
    """A store of which some writes fail by chance while it is `away`, in turn before they are made and after."""

    def __init__(self, store: TableDriver, seed: int) -> None:
        self.read_rows, self.query_rows, self._store = store.read_rows, store.query_rows, store
        self._chance, self.away, self.lost = random.Random(seed), 0.0, 0

    async def write_rows(self, writes: Sequence[Write]) -> None:
        fails = self._chance.random() < self.away
        if not fails or self.lost % 2:
            await self._store.write_rows(writes)
        if fails:
            self.lost += 1
            raise Unavailable("The database does not answer.", reason="database")


async def started(app: MemoryApp) -> Started:
    return await app.services.builds.start(ANN, WANTED)


async def statuses(app: MemoryApp, *builds: Started) -> Sequence[str]:
    return [(await app.services.projects.get(ANN, build.project_id)).status for build in builds]


async def test_a_full_disk_costs_no_attempt_and_the_build_goes_on_by_itself() -> None:
    disk = FullDisk()
    disk.refusals = 2
    place = structs.replace(make_adapters(script()), repository=disk, timeouts=BuildTimeouts(storage=5.0))
    async with open_app(place) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await app.queue.wait_until_idle()
        waiting = await app.services.projects.get(ANN, started.project_id)
        assert waiting.status == "queued"
        assert waiting.error_info
        assert waiting.error_info["code"] == "storage_full"
        await app.sweeper.recover_lost_jobs()
        await app.queue.wait_until_idle()
        assert (await app.services.projects.get(ANN, started.project_id)).status == "queued"
        for _ in range(2):
            app.clock.now += 6
            await app.sweeper.recover_lost_jobs()
            await app.queue.wait_until_idle()
        project = await app.services.projects.get(ANN, started.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        stages = await app.services.projects.list_current_stages(ANN, started.project_id)
        assert {stage.attempt for stage in stages} == {1}
        assert len(app.adapters.default_model.requests) == 10  # type: ignore[attr-defined]  # the scripted one keeps them


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_store_that_fails_again_and_again_costs_no_attempt_and_nothing_is_done_twice(seed: int) -> None:
    on = make_adapters(script())
    store = Flaky(on.tables, seed)
    patient = BuildTimeouts(storage=0.0, store=0.0, retries=(0.0,) * 20)
    async with open_app(structs.replace(on, tables=store, timeouts=patient)) as app:
        build = await started(app)
        sweeper = Sweeper(
            services=app.services, queue=app.queue, local=app.queue, worker_id=on.worker_id, timer=app.clock
        )
        store.away = 0.25
        while (await statuses(app, build))[0] not in ("completed", "failed", "cancelled"):
            await app.queue.wait_until_idle()
            app.clock.now += 6
            await sweeper.recover_lost_jobs()
        store.away = 0.0
        project = await app.services.projects.get(ANN, build.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        assert store.lost > 3
        assert len(app.adapters.default_model.requests) == 10  # type: ignore[attr-defined]  # the scripted one keeps them
        stages = await app.services.projects.list_current_stages(ANN, build.project_id)
        assert {(stage.status, stage.attempt) for stage in stages} == {("completed", 1)}
        commits = await app.services.projects.list_commits(ANN, build.project_id)
        assert len({commit.key for commit in commits}) == len(commits) == 9


async def test_what_is_paused_while_it_waits_for_a_provider_tells_no_reason_any_more_and_is_resumed_at_once() -> None:
    busy = turn(Unavailable("Too many requests.", reason="provider", code="rate_limited", retry_after=600.0))
    async with open_app(make_adapters(script(intake=[busy, said(BRIEF)]))) as app:
        build = await started(app)
        await app.queue.wait_until_idle()
        assert (await app.services.projects.get(ANN, build.project_id)).error_info
        await app.services.builds.execute_build_command(ANN, build.project_id, "pause")
        paused = await app.services.projects.get(ANN, build.project_id)
        assert (paused.status, paused.error_info) == ("paused", None)
        await app.services.builds.execute_build_command(ANN, build.project_id, "resume")
        await app.queue.wait_until_idle()
        assert await statuses(app, build) == ["completed"]


async def test_a_drain_does_not_wait_for_a_store_that_is_full() -> None:
    gate = Gate()
    on = make_adapters(script(design=[turn(gate, "late")]))
    store = Flaky(on.tables, seed=1)
    async with open_app(structs.replace(on, tables=store)) as app:
        build = await started(app)
        await gate.reached.wait()
        store.away = 1.0
        async with asyncio.timeout(50):
            await app.queue.drain_jobs(1.0)
        store.away = 0.0
        assert (await statuses(app, build))[0] in ("building", "queued")
