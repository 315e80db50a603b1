"""Builds that are held until their tenant has a place: every way in which one may become free."""

from collections.abc import Sequence

import pytest
from msgspec import structs

from nexus.domain.builds.model import Started
from nexus.domain.core.errors import QuotaExceeded, Unavailable
from nexus.domain.core.principal import Principal
from nexus.domain.ports.database import TableDriver, Window
from nexus.domain.ports.rows import Write
from nexus.domain.projects.admission import Limits
from nexus.domain.projects.model import Command
from tests.domain.builds.scripts import script
from tests.domain.builds.test_builds import WANTED, over
from tests.memory_app import ANN, EVE, MemoryApp, make_adapters, open_app


class Away:
    """A store of which, after some that succeed, one write fails."""

    def __init__(self, store: TableDriver) -> None:
        self.read_rows, self.query_rows, self._store, self.before_it_fails = (
            store.read_rows,
            store.query_rows,
            store,
            -1,
        )

    async def write_rows(self, writes: Sequence[Write]) -> None:
        self.before_it_fails -= 1
        if self.before_it_fails == -1:
            raise Unavailable("The database does not answer.", reason="database")
        await self._store.write_rows(writes)


async def started(app: MemoryApp, caller: Principal = ANN, *, priority: int = 3) -> Started:
    return await app.services.builds.start(caller, structs.replace(WANTED, priority=priority))


async def statuses(app: MemoryApp, *builds: Started, caller: Principal = ANN) -> Sequence[str]:
    return [(await app.services.projects.get(caller, build.project_id)).status for build in builds]


async def test_a_build_for_which_there_is_no_place_is_held_and_told_its_position() -> None:
    async with open_app(structs.replace(make_adapters(script()), admission=Limits(2, 10)), serving=False) as app:
        builds = [await started(app) for _ in range(4)]
        assert [(build.status, build.position) for build in builds] == [
            ("queued", None), ("queued", None), ("pending", 2), ("pending", 3),
        ]  # fmt: skip
        others = await app.services.builds.start(EVE, WANTED)
        assert others.status == "queued"
        async for batch in await app.services.projects.stream_build_events(ANN, builds[3].project_id):
            assert b'"position":3' in batch.events[0]
            break


@pytest.mark.parametrize("command", ["stop", "pause"])
async def test_what_is_held_is_let_in_when_a_place_is_left(command: Command) -> None:
    async with open_app(structs.replace(make_adapters(script()), admission=Limits(1, 10)), serving=False) as app:
        first, second, third = [await started(app) for _ in range(3)]
        await app.services.builds.execute_build_command(ANN, first.project_id, command)
        assert await statuses(app, second, third) == ["queued", "pending"]
        again = await app.services.builds.execute_build_command(
            ANN, first.project_id, "restart" if command == "stop" else "resume"
        )
        assert again.status == "pending"
        assert await app.services.builds.execute_build_command(ANN, second.project_id, "stop")
        assert sorted(await statuses(app, first, third)) == ["pending", "queued"]


async def test_what_is_held_can_be_paused_resumed_stopped_and_deleted() -> None:
    async with open_app(structs.replace(make_adapters(script()), admission=Limits(1, 10)), serving=False) as app:
        first, held, other = [await started(app) for _ in range(3)]
        for command, status in (("pause", "paused"), ("pause", "paused"), ("resume", "pending"), ("resume", "pending"), ("stop", "cancelled"), ("stop", "cancelled")):  # fmt: skip
            assert (await app.services.builds.execute_build_command(ANN, held.project_id, command)).status == status
        await app.services.builds.delete(ANN, other.project_id)
        await app.services.builds.execute_build_command(ANN, first.project_id, "stop")
        assert (await started(app)).status == "queued"


async def test_priority_comes_before_age_among_those_that_are_held() -> None:
    async with open_app(structs.replace(make_adapters(script()), admission=Limits(1, 10)), serving=False) as app:
        first, low, old, high, late = [await started(app, priority=priority) for priority in (3, 1, 3, 5, 3)]
        order = []
        for _ in range(4):
            await app.services.builds.execute_build_command(ANN, first.project_id, "stop")
            [first] = [build for build in (low, old, high, late) if await statuses(app, build) == ["queued"]]
            order.append(first)
        assert order == [high, old, late, low]


async def test_too_many_that_are_held_are_refused_with_their_position_and_nothing_is_kept_of_them() -> None:
    async with open_app(structs.replace(make_adapters(script()), admission=Limits(2, 1)), serving=False) as app:
        first, *_ = [await started(app) for _ in range(3)]
        with pytest.raises(QuotaExceeded) as refused:
            await started(app)
        assert (refused.value.facts["position"], refused.value.facts["limit"]) == (3, 3)
        assert len((await app.services.projects.list_projects(ANN, Window())).items) == 3
        await app.services.builds.execute_build_command(ANN, first.project_id, "stop")
        await started(app)
        with pytest.raises(QuotaExceeded):
            await app.services.builds.execute_build_command(ANN, first.project_id, "restart")


async def test_builds_that_were_held_run_one_after_the_other_by_themselves() -> None:
    async with open_app(structs.replace(make_adapters(script(builds=3)), admission=Limits(1, 10))) as app:
        builds = [await started(app) for _ in range(3)]
        for build in builds:
            await over(app, build.project_id)
        assert await statuses(app, *builds) == ["completed"] * 3


async def test_what_is_held_is_let_in_at_the_next_look_when_the_process_died_before() -> None:
    place = structs.replace(make_adapters(script()), admission=Limits(1, 10))
    async with open_app(place, serving=False) as app:
        first, second = [await started(app) for _ in range(2)]
        await app.services.projects.execute_command(ANN, first.project_id, "stop")
        assert await statuses(app, second) == ["pending"]
    after = structs.replace(make_adapters(like=place, worker_id="w2"), admission=Limits(1, 10))
    async with open_app(after, serving=False) as app:
        await app.sweeper.recover_jobs_at_start(alone=True)
        assert await statuses(app, second) == ["queued"]


async def test_the_sweeper_lets_in_what_is_held() -> None:
    async with open_app(structs.replace(make_adapters(script()), admission=Limits(1, 10)), serving=False) as app:
        first, second = [await started(app) for _ in range(2)]
        await app.services.projects.execute_command(ANN, first.project_id, "stop")
        app.clock.now += 60
        await app.sweeper.recover_lost_jobs()
        assert await statuses(app, second) == ["queued"]


@pytest.mark.parametrize("stop_first", [True, False])
async def test_what_is_deleted_leaves_its_place(stop_first: bool) -> None:
    async with open_app(structs.replace(make_adapters(script()), admission=Limits(1, 10)), serving=False) as app:
        first, second = [await started(app) for _ in range(2)]
        if not stop_first:
            await app.services.projects.execute_command(ANN, first.project_id, "stop")
        await app.services.builds.delete(ANN, first.project_id, stop_first=stop_first)
        assert await statuses(app, second) == ["queued"]


async def test_one_tenant_that_holds_hundreds_hides_no_other_from_the_sweeper() -> None:
    async with open_app(structs.replace(make_adapters(script()), admission=Limits(1, 1000)), serving=False) as app:
        for _ in range(520):
            await started(app)
        first, second = [await started(app, EVE) for _ in range(2)]
        await app.services.projects.execute_command(EVE, first.project_id, "stop")
        app.clock.now += 60
        await app.sweeper.recover_lost_jobs()
        assert await statuses(app, second, caller=EVE) == ["queued"]


async def test_the_highest_priority_is_let_in_from_behind_a_hundred_others() -> None:
    async with open_app(structs.replace(make_adapters(script()), admission=Limits(1, 1000)), serving=False) as app:
        first = await started(app)
        for _ in range(101):
            await started(app)
        urgent = await started(app, priority=5)
        await app.services.builds.execute_build_command(ANN, first.project_id, "stop")
        assert await statuses(app, urgent) == ["queued"]


async def test_a_user_is_answered_though_nobody_could_be_let_in() -> None:
    on = make_adapters(script())
    store = Away(on.tables)
    async with open_app(structs.replace(on, tables=store, admission=Limits(1, 10)), serving=False) as app:
        first, second = [await started(app) for _ in range(2)]
        store.before_it_fails = 1
        assert (await app.services.builds.execute_build_command(ANN, first.project_id, "stop")).status == "cancelled"
        assert await statuses(app, second) == ["pending"]
        app.clock.now += 60
        await app.sweeper.recover_lost_jobs()
        assert await statuses(app, second) == ["queued"]
