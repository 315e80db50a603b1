"""More work than fits: who is let in, in which order, and what happens when the disk is full."""

from collections.abc import Mapping

import pytest
from msgspec import structs

from nexus.adapters.inprocess.jobs import InProcessJobs
from nexus.adapters.memory.repository import MemoryRepository
from nexus.domain.builds.model import RunBuild
from nexus.domain.builds.service import Pace
from nexus.domain.core.errors import QuotaExceeded, Unavailable
from nexus.domain.projects.openings import Opening
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED, over
from tests.house import ANN, EVE, open_house, world


class FullDisk(MemoryRepository):
    """A repository whose disk is full for the next few commits."""

    refusals = 0

    async def commit(self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str) -> str:
        if self.refusals:
            self.refusals -= 1
            raise Unavailable("The storage is full.", reason="storage_full")
        return await super().commit(project_id, files, message=message, key=key)


async def test_a_tenant_that_has_as_many_builds_as_it_may_is_told_its_position() -> None:
    async with open_house(structs.replace(world(script()), admitted=2), serving=False) as house:
        first = await house.services.builds.start(ANN, WANTED)
        await house.services.builds.start(ANN, WANTED)
        with pytest.raises(QuotaExceeded) as refused:
            await house.services.builds.start(ANN, WANTED)
        assert (refused.value.facts["position"], refused.value.facts["limit"]) == (2, 2)
        await house.services.builds.start(EVE, WANTED)
        await house.services.builds.command(ANN, first.project_id, "stop")
        await house.services.builds.start(ANN, WANTED)
        with pytest.raises(QuotaExceeded):
            await house.services.builds.command(ANN, first.project_id, "restart")


async def test_a_build_that_ended_makes_room() -> None:
    async with open_house(structs.replace(world(script()), admitted=1)) as house:
        started = await house.services.builds.start(ANN, WANTED)
        await over(house, started.project_id)
        await house.services.builds.start(ANN, Opening(requirement="Another agent that doubles"))


async def test_priority_orders_and_tenants_take_turns() -> None:
    ran = list[str]()

    async def run(body: bytes) -> None:
        ran.append(body.decode())

    async with InProcessJobs(places=1) as queue:
        waits = [("a1", 3, "a"), ("a2", 3, "a"), ("a3", 3, "a"), ("b1", 3, "b"), ("low", 1, "b"), ("high", 5, "a")]
        for key, priority, group in waits:
            await queue.enqueue(RunBuild(task_id=key), key=key, priority=priority, group=group)
        queue.cancel("a3")
        queue.serve(run)
        await queue.settled()
    order = [next(key for key, _, _ in waits if f'"{key}"' in body) for body in ran]
    assert order == ["high", "a1", "b1", "a2", "low"]


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
