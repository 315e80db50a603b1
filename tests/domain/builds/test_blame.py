"""What must not be blamed on the work, on a host or on the provider: each was once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack

import pytest
from msgspec import structs

from nexus.domain.builds.failures import STAGE_DEATHS
from nexus.domain.builds.runner import BuildTimeouts
from nexus.domain.core.errors import InvalidInput, Unavailable
from nexus.domain.core.values import JSON
from nexus.domain.ports.code import Limits, Outcome, Program
from nexus.domain.ports.database import TableDriver
from nexus.domain.ports.repository import ANYONE, Fence, Writer
from nexus.domain.ports.rows import Write
from tests.domain.builds.scripts import BRIEF, DESIGN, PROMPT, doubling, said, script
from tests.domain.builds.test_builds import WANTED, over
from tests.domain.builds.test_failures import SENDS, Hanging, purposes, waited_out
from tests.fakes.code import MemoryCode
from tests.fakes.models import turn
from tests.fakes.repository import MemoryRepository
from tests.memory_app import ANN, make_adapters, open_app


class Store:
    """A store that is away for the writes that a test names."""

    def __init__(self, store: TableDriver) -> None:
        self.read_rows, self.query_rows, self._store = store.read_rows, store.query_rows, store
        self.away = False

    async def write_rows(self, writes: Sequence[Write]) -> None:
        if self.refuses(writes):
            raise Unavailable("The database does not answer.", reason="database")
        await self._store.write_rows(writes)

    def refuses(self, writes: Sequence[Write]) -> bool:
        return self.away


class RefusesAFailureOnce(Store):
    refused = False

    def refuses(self, writes: Sequence[Write]) -> bool:
        fails = any(write.verb == "patch" and write.fields.get("status") == "failed" for write in writes)
        refuses, self.refused = fails and not self.refused, self.refused or fails
        return refuses


async def test_a_side_effect_is_not_repeated_when_the_store_is_away_for_the_failure_that_owns_up_to_it() -> None:
    code, model = Hanging(), script(tools=[said(SENDS)], reply=[*doubling(1), *doubling(2)])
    async with open_app(structs.replace(make_adapters(model), code=code)) as dead:
        started = await dead.services.builds.start(ANN, WANTED)
        await code.reached.wait()
        place = structs.replace(make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2"), code=code)
        store = RefusesAFailureOnce(place.tables)
        async with open_app(structs.replace(place, tables=store)) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            project = await waited_out(app, started.project_id)
            assert store.refused
            assert (project.status, code.calls) == ("failed", 1)
            assert project.error_info is not None
            assert project.error_info["code"] == "outcome_unknown"


class Disk(MemoryRepository):
    """A repository before and after whose commits a test has something happen; `gone`: nothing can be read."""

    def __init__(self) -> None:
        super().__init__()
        self.gone = False

    async def before(self, key: str) -> None:
        """What a test has happen before a commit."""

    async def after(self, key: str) -> None:
        """What a test has happen after a commit."""

    async def commit(
        self, project_id: str, files: Mapping[str, bytes | None], *, message: str, key: str, writer: Writer = ANYONE
    ) -> str:
        await self.before(key)
        made = await super().commit(project_id, files, message=message, key=key, writer=writer)
        await self.after(key)
        return made

    async def read(self, project_id: str, path: str, *, at: str | None = None) -> bytes:
        if self.gone:
            raise Unavailable("git cat-file failed.", part="git")
        return await super().read(project_id, path, at=at)


async def test_git_that_stays_away_fails_the_build_and_says_so_although_nothing_can_be_read_any_more() -> None:
    class Gone(Disk):
        async def before(self, key: str) -> None:
            self.gone = self.gone or key == "1/requirements"
            if self.gone:
                raise Unavailable("git fast-import failed.", part="git")

    async with open_app(structs.replace(make_adapters(script()), repository=Gone())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await waited_out(app, started.project_id, seconds=20)
        assert project.status == "failed"
        assert project.error_info is not None
        assert (project.error_info["code"], project.error_info["stage"]) == ("git", "requirements")


async def test_the_first_hiccup_of_the_app_after_a_long_wait_for_the_provider_is_waited_for_too() -> None:
    class Hiccup(Disk):
        left = 1

        async def before(self, key: str) -> None:
            if self.left:
                self.left -= 1
                raise Unavailable("git fast-import took longer than 30 s.", part="git")

    long = turn(Unavailable("The model provider asks to slow down (429).", reason="provider", retry_after=120.0))
    place = structs.replace(make_adapters(script(intake=[long, said(BRIEF)])), repository=Hiccup())
    async with open_app(place) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await waited_out(app, started.project_id)).status == "completed"


async def test_who_resumes_a_build_that_waited_has_new_patience() -> None:
    long = turn(Unavailable("The model provider asks to slow down (429).", reason="provider", retry_after=250.0))
    place = structs.replace(
        make_adapters(script(intake=[long, long, said(BRIEF)])), timeouts=BuildTimeouts(patience=250.0)
    )
    async with open_app(place) as app:
        started = await app.services.builds.start(ANN, WANTED)
        await app.queue.wait_until_idle()
        await app.services.builds.execute_build_command(ANN, started.project_id, "pause")
        await app.services.builds.execute_build_command(ANN, started.project_id, "resume")
        assert (await waited_out(app, started.project_id)).status == "completed"


async def test_outages_of_the_store_are_no_deaths_of_a_host() -> None:
    on = make_adapters(script())
    store = Store(on.tables)

    class Outages(Disk):
        left = 6

        async def after(self, key: str) -> None:
            if key == "1/design" and self.left:
                self.left -= 1
                store.away = True

    disk = Outages()
    place = structs.replace(on, tables=store, repository=disk, timeouts=BuildTimeouts(retries=(0.0,)))
    async with open_app(place) as app:
        project_id = (await app.services.builds.start(ANN, WANTED)).project_id
        while True:
            await app.queue.wait_until_idle()
            store.away = False
            project = await app.services.projects.get(ANN, project_id)
            if project.status in ("completed", "failed"):
                break
            app.clock.now += 70
            await app.sweeper.recover_lost_jobs()
        assert (project.status, disk.left) == ("completed", 0)


async def test_a_history_that_is_ahead_of_the_database_fails_the_build_with_that_reason() -> None:
    class Ahead(Disk):
        done = False

        async def before(self, key: str) -> None:
            if key == "1/requirements" and not self.done:
                self.done = True
                later = Writer(fence=Fence(2, 1))
                await super().commit(started.project_id, {"x": b"x"}, message="Later", key="2/intake", writer=later)

    async with open_app(structs.replace(make_adapters(script()), repository=Ahead())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await waited_out(app, started.project_id)
        assert project.status == "failed"
        assert project.error_info is not None
        assert project.error_info["code"] == "history_ahead"


async def test_a_confined_process_that_does_not_start_is_no_failure_of_the_agent() -> None:
    class Away(MemoryCode):
        times = 3

        async def call_function(
            self, program: Program, function: str, arguments: JSON, *, limits: Limits = Limits()
        ) -> Outcome:
            self.times -= 1
            if self.times >= 0:
                raise Unavailable("The confined process did not start.", part="code")
            return await super().call_function(program, function, arguments, limits=limits)

    async with open_app(structs.replace(make_adapters(script()), code=Away())) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await waited_out(app, started.project_id)
        assert (project.status, purposes(app).count("build.prompt")) == ("completed", 1)
        assert project.metrics is not None
        assert project.metrics["verdict"] == "passed"


async def test_a_model_that_the_provider_does_not_have_is_no_failure_of_the_agent() -> None:
    missing = InvalidInput("The model provider refused the request (404): there is no model x.", status=404)
    async with open_app(make_adapters(script(reply=[turn(missing)]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await waited_out(app, started.project_id)
        assert (project.status, purposes(app).count("build.prompt")) == ("failed", 1)


async def test_a_request_that_the_provider_will_not_have_is_a_failure_of_the_agent() -> None:
    refused = InvalidInput("The model provider refused the request (400): too long.", status=400)
    async with open_app(make_adapters(script(reply=[turn(refused)] * 2, prompt=[said(PROMPT)] * 2))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await waited_out(app, started.project_id)
        assert project.metrics is not None
        assert (project.status, project.metrics["verdict"]) == ("completed", "failed")


async def test_answers_that_break_off_cost_attempts_and_are_marked_as_not_counted() -> None:
    broken = turn("Half of it, paid for.", Unavailable("The answer of the model does not end."))
    async with open_app(make_adapters(script(design=[broken] * 100))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        project = await waited_out(app, started.project_id)
        [row] = [
            row
            for row in await app.services.projects.list_current_stages(ANN, started.project_id)
            if row.status == "failed"
        ]
        build = await app.services.projects.get_current_build(ANN, started.project_id)
        assert (project.status, purposes(app).count("build.design")) == ("failed", 12)
        assert (row.attempt, row.usage_unknown) == (3, True)
        assert [stage["status"] for stage in build.stages if stage["stage"] == "design"] == ["failed"]


@pytest.mark.parametrize("times", [1, 4])
async def test_what_broke_off_before_an_answer_came_is_marked_as_not_counted(times: int) -> None:
    broken = turn("Half of it.", Unavailable("The answer broke off."))
    async with open_app(make_adapters(script(design=[*[broken] * times, said(DESIGN)]))) as app:
        started = await app.services.builds.start(ANN, WANTED)
        assert (await waited_out(app, started.project_id)).status == "completed"
        [row] = [
            row
            for row in await app.services.projects.list_current_stages(ANN, started.project_id)
            if row.stage_number == 4
        ]
        assert row.usage_unknown


class HangsAtASkip(Store):
    """A store in which no host survives the write that skips a stage."""

    def __init__(self, store: TableDriver) -> None:
        super().__init__(store)
        self.reached = asyncio.Queue[None]()

    async def write_rows(self, writes: Sequence[Write]) -> None:
        if any(write.table.name == "stages" and write.fields.get("status") == "skipped" for write in writes):
            self.reached.put_nowait(None)
            await asyncio.Event().wait()
        await super().write_rows(writes)


async def test_a_stage_that_kills_every_host_when_it_is_skipped_fails_the_build() -> None:
    place = make_adapters(script(reply=[turn("No.")] * 2, prompt=[said(PROMPT)] * 2))
    store = HangsAtASkip(place.tables)
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(open_app(structs.replace(place, tables=store)))]
        started = await apps[0].services.builds.start(ANN, WANTED)
        for number in range(STAGE_DEATHS):
            await store.reached.get()
            after = make_adapters(like=apps[0].adapters, clock=apps[0].clock, worker_id=f"w{number + 2}")
            apps.append(await stack.enter_async_context(open_app(after)))
            await apps[-1].sweeper.recover_jobs_at_start(alone=True)
        project = await over(apps[-1], started.project_id)
        assert project.status == "failed"
        assert project.error_info is not None
        assert (project.error_info["code"], project.error_info["stage"]) == ("poisonous", "deployment")


class EndsBeforeItIsStopped(Store):
    """A store in which a build fails by itself in the moment in which it is told to stop."""

    ended = False

    def __init__(self, store: TableDriver, fail: Callable[[], Awaitable[None]]) -> None:
        super().__init__(store)
        self._fail = fail

    async def write_rows(self, writes: Sequence[Write]) -> None:
        if not self.ended and any(write.fields.get("control_status") == "stopped" for write in writes):
            self.ended = True
            await self._fail()
        await super().write_rows(writes)


async def test_a_build_that_ends_while_it_is_told_to_stop_is_deleted_all_the_same() -> None:
    async with open_app(serving=False) as first:
        started = await first.services.builds.start(ANN, WANTED)
        runs = first.services.build_runner._leases
        run = await runs.claim_build(started.task_id, "w1")
        on = make_adapters(like=first.adapters, clock=first.clock, worker_id="w2")
        store = EndsBeforeItIsStopped(on.tables, lambda: runs.fail_build(run, {"message": "It went wrong."}))
        async with open_app(structs.replace(on, tables=store), serving=False) as app:
            deleted = await app.services.builds.delete(ANN, started.project_id, stop_first=True)
            assert store.ended
            assert (deleted.status, bool(deleted.deleted_at)) == ("failed", True)
