"""More work than fits: who is let in, in which order, and what happens when the disk is full."""

from collections.abc import Mapping, Sequence

import pytest
from msgspec import structs

from nexus.adapters.memory.repository import MemoryRepository
from nexus.domain.builds.model import Started
from nexus.domain.builds.service import Pace
from nexus.domain.core.errors import QuotaExceeded, Unavailable
from nexus.domain.ports.database import TableDriver, Window
from nexus.domain.ports.rows import Write
from nexus.domain.projects.admission import Limits
from nexus.domain.projects.model import Command
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED, over
from tests.house import ANN, EVE, House, open_house, world


class FullDisk(MemoryRepository):
    """A repository whose disk is full for the next few commits."""

    refusals = 0

    async def commit(self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str) -> str:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("The storage is full.", reason="storage_full")
        return await super().commit(project_id, files, message=message, key=key)


class Flaky:
    """A store of which every so many writes fail, in turn before they are made and after; `every=0` for none."""

    def __init__(self, store: TableDriver, every: int) -> None:
        self.read, self.query, self._store = store.read, store.query, store
        self.every, self._writes, self.lost = every, 0, 0

    async def write(self, writes: Sequence[Write]) -> None:
        self._writes += 1
        fails = self.every and self._writes % self.every == 0
        if not fails or self.lost % 2:
            await self._store.write(writes)
        if fails:
            self.lost += 1
            raise Unavailable("The database does not answer.", reason="database")


async def started(house: House, *, priority: int = 3) -> Started:
    return await house.services.builds.start(ANN, structs.replace(WANTED, priority=priority))


async def statuses(house: House, *builds: Started) -> Sequence[str]:
    return [(await house.services.projects.get(ANN, build.project_id)).status for build in builds]


async def test_a_build_for_which_there_is_no_place_is_held_and_told_its_position() -> None:
    async with open_house(structs.replace(world(script()), admission=Limits(2, 10)), serving=False) as house:
        builds = [await started(house) for _ in range(4)]
        assert [(build.status, build.position) for build in builds] == [
            ("queued", None), ("queued", None), ("pending", 2), ("pending", 3),
        ]  # fmt: skip
        others = await house.services.builds.start(EVE, WANTED)
        assert others.status == "queued"
        async for batch in await house.services.projects.follow(ANN, builds[3].project_id):
            assert b'"position":3' in batch.events[0]
            break


@pytest.mark.parametrize("command", ["stop", "pause"])
async def test_what_is_held_is_let_in_when_a_place_is_left(command: Command) -> None:
    async with open_house(structs.replace(world(script()), admission=Limits(1, 10)), serving=False) as house:
        first, second, third = [await started(house) for _ in range(3)]
        await house.services.builds.command(ANN, first.project_id, command)
        assert await statuses(house, second, third) == ["queued", "pending"]
        again = await house.services.builds.command(ANN, first.project_id, "restart" if command == "stop" else "resume")
        assert again.status == "pending"
        assert await house.services.builds.command(ANN, second.project_id, "stop")
        assert sorted(await statuses(house, first, third)) == ["pending", "queued"]


async def test_what_is_held_can_be_paused_resumed_stopped_and_deleted() -> None:
    async with open_house(structs.replace(world(script()), admission=Limits(1, 10)), serving=False) as house:
        first, held, other = [await started(house) for _ in range(3)]
        for command, status in (("pause", "paused"), ("pause", "paused"), ("resume", "pending"), ("resume", "pending"), ("stop", "cancelled"), ("stop", "cancelled")):  # fmt: skip
            assert (await house.services.builds.command(ANN, held.project_id, command)).status == status
        await house.services.deletions.delete(ANN, other.project_id)
        await house.services.builds.command(ANN, first.project_id, "stop")
        assert (await started(house)).status == "queued"


async def test_priority_comes_before_age_among_those_that_are_held() -> None:
    async with open_house(structs.replace(world(script()), admission=Limits(1, 10)), serving=False) as house:
        first, low, old, high, late = [await started(house, priority=priority) for priority in (3, 1, 3, 5, 3)]
        order = []
        for _ in range(4):
            await house.services.builds.command(ANN, first.project_id, "stop")
            [first] = [build for build in (low, old, high, late) if await statuses(house, build) == ["queued"]]
            order.append(first)
        assert order == [high, old, late, low]


async def test_too_many_that_are_held_are_refused_with_their_position_and_nothing_is_kept_of_them() -> None:
    async with open_house(structs.replace(world(script()), admission=Limits(2, 1)), serving=False) as house:
        first, *_ = [await started(house) for _ in range(3)]
        with pytest.raises(QuotaExceeded) as refused:
            await started(house)
        assert (refused.value.facts["position"], refused.value.facts["limit"]) == (3, 3)
        assert len((await house.services.projects.page(ANN, Window())).items) == 3
        await house.services.builds.command(ANN, first.project_id, "stop")
        await started(house)
        with pytest.raises(QuotaExceeded):
            await house.services.builds.command(ANN, first.project_id, "restart")


async def test_builds_that_were_held_run_one_after_the_other_by_themselves() -> None:
    async with open_house(structs.replace(world(script(builds=3)), admission=Limits(1, 10))) as house:
        builds = [await started(house) for _ in range(3)]
        for build in builds:
            await over(house, build.project_id)
        assert await statuses(house, *builds) == ["completed"] * 3


async def test_what_is_held_is_let_in_at_the_next_look_when_the_process_died_before() -> None:
    place = structs.replace(world(script()), admission=Limits(1, 10))
    async with open_house(place, serving=False) as house:
        first, second = [await started(house) for _ in range(2)]
        await house.services.projects.command(ANN, first.project_id, "stop")
        assert await statuses(house, second) == ["pending"]
    after = structs.replace(world(like=place, worker_id="w2"), admission=Limits(1, 10))
    async with open_house(after, serving=False) as house:
        await house.sweeper.start(alone=True)
        assert await statuses(house, second) == ["queued"]


async def test_the_sweeper_lets_in_what_is_held() -> None:
    async with open_house(structs.replace(world(script()), admission=Limits(1, 10)), serving=False) as house:
        first, second = [await started(house) for _ in range(2)]
        await house.services.projects.command(ANN, first.project_id, "stop")
        house.clock.now += 60
        await house.sweeper.sweep()
        assert await statuses(house, second) == ["queued"]


async def test_a_full_disk_costs_no_attempt_and_the_build_goes_on_by_itself() -> None:
    disk = FullDisk()
    disk.refusals = 2
    place = structs.replace(world(script()), repository=disk, pace=Pace(storage=5.0))
    async with open_house(place) as house:
        started = await house.services.builds.start(ANN, WANTED)
        await house.queue.settled()
        waiting = await house.services.projects.get(ANN, started.project_id)
        assert waiting.status == "queued"
        assert waiting.error_info
        assert waiting.error_info["code"] == "storage_full"
        await house.sweeper.sweep()
        await house.queue.settled()
        assert (await house.services.projects.get(ANN, started.project_id)).status == "queued"
        for _ in range(2):
            house.clock.now += 6
            await house.sweeper.sweep()
            await house.queue.settled()
        project = await house.services.projects.get(ANN, started.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        stages = await house.services.projects.stages(ANN, started.project_id)
        assert {stage.attempt for stage in stages} == {1}
        assert len(house.world.model.requests) == 10  # type: ignore[attr-defined]  # the scripted one keeps them


@pytest.mark.parametrize("every", [5, 7, 11])
async def test_a_store_that_fails_again_and_again_costs_no_attempt_and_nothing_is_done_twice(every: int) -> None:
    on = world(script())
    store = Flaky(on.tables, every=0)
    patient = Pace(storage=0.0, store=0.0, retries=(0.0,) * 20)
    async with open_house(structs.replace(on, tables=store, pace=patient)) as house:
        build = await started(house)
        store.every = every
        while (await statuses(house, build))[0] not in ("completed", "failed", "cancelled"):
            await house.queue.settled()
            house.clock.now += 6
            await house.sweeper.sweep()
        store.every = 0
        project = await house.services.projects.get(ANN, build.project_id)
        assert (project.status, project.error_info) == ("completed", None)
        assert store.lost > 5
        assert len(house.world.model.requests) == 10  # type: ignore[attr-defined]  # the scripted one keeps them
        stages = await house.services.projects.stages(ANN, build.project_id)
        assert {(stage.status, stage.attempt) for stage in stages} == {("completed", 1)}
        commits = await house.services.projects.commits(ANN, build.project_id)
        assert len({commit.key for commit in commits}) == len(commits) == 9
