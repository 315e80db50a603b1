"""Tasks as users see them, and the parts of a change that other modules commit."""

from collections.abc import Sequence
from contextlib import suppress

from nexus.domain.core.errors import Conflict, NotFound
from nexus.domain.core.failpoints import hit
from nexus.domain.core.ids import NewId
from nexus.domain.core.instants import Clock, instant
from nexus.domain.core.principal import Principal
from nexus.domain.core.values import JSON
from nexus.domain.ports.database import Page, Tables, Window, retry_stale
from nexus.domain.ports.rows import When, Write, check, insert, patch, when
from nexus.domain.tasks.model import Task
from nexus.domain.tasks.rules import FAR_SECONDS, LEASE_SECONDS, PLACES, SHARDS, shard
from nexus.domain.tasks.tables import TASKS


class Tasks:
    def __init__(self, *, tables: Tables, clock: Clock, new_id: NewId) -> None:
        self._tables, self._clock, self._new_id = tables, clock, new_id

    async def get(self, caller: Principal, task_id: str) -> Task:
        return await self._tables.of(caller).get(TASKS, task_id)

    async def page(self, caller: Principal, window: Window) -> Page[Task]:
        """The caller's tasks, newest first unless the window says otherwise."""
        return await self._tables.of(caller).page(TASKS, caller.user_id, index="UserIndex", window=window)

    async def page_of_project(self, caller: Principal, project_id: str, window: Window) -> Page[Task]:
        return await self._tables.of(caller).page(TASKS, project_id, index="ProjectIndex", window=window)

    async def read(self, task_id: str) -> Task:
        """For the house's own work, whoever owns it."""
        return await self._tables.get(TASKS, task_id)

    @retry_stale
    async def beat(self, task_id: str, fence: int) -> bool:
        """A sign of life of who holds the task under this fence. False when that is over."""
        task = await self._tables.find(TASKS, task_id)
        if task is None or task.fence != fence or task.status != "running":
            return False
        hit("before:task.beat")
        due = instant(self._clock() + LEASE_SECONDS)
        ours = when(fence=fence, status="running")
        await self._tables.commit(patch(TASKS, task, ours, heartbeat=task.heartbeat + 1, due_at=due))
        hit("after:task.beat")
        return True

    async def due(self) -> list[Task]:
        """What the sweeper should look at now: unfinished tasks whose time has come, as they stand."""
        return await self._in_window(Window(limit=100, until=instant(self._clock())))

    async def redate(self) -> None:
        """Has those looked at that were put off under a clock that ran ahead."""
        now = self._clock()
        for task in await self._in_window(Window(limit=100, since=instant(now + FAR_SECONDS))):
            same = when(status=task.status, due_at=task.due_at)
            with suppress(Conflict):  # somebody was here meanwhile
                await self._tables.commit(patch(TASKS, task, same, due_at=instant(now)))

    async def _in_window(self, window: Window) -> list[Task]:
        found = list[Task]()
        for place in PLACES:
            found += (await self._tables.page(TASKS, place, index="DispatchIndex", window=window)).items
        return found

    async def unfinished(self) -> list[Task]:
        """Everything that has not ended, for the first look after a start."""
        return await self._all_of(PLACES)

    async def held(self) -> list[Task]:
        """Everything that waits until its tenant may have one more."""
        return await self._all_of(SHARDS["pending"])

    async def _all_of(self, places: Sequence[str]) -> list[Task]:
        return [task for place in places async for task in self._tables.each(TASKS, place, index="DispatchIndex")]

    def queued(self, task: Task) -> Write:
        return insert(TASKS, task)

    def purging(self, owner: Principal, payload: JSON, *, project_id: str | None = None) -> Write:
        """A task that removes what was deleted: `agent_id` or `session_id`, or the project."""
        now, task_id = instant(self._clock()), self._new_id("tsk")
        return insert(
            TASKS,
            Task(
                task_id=task_id,
                task_type="purge",
                tenant_id=owner.tenant_id,
                user_id=owner.user_id,
                project_id=project_id,
                payload=payload,
                dispatch=shard(task_id, "queued"),
                due_at=now,
                created_at=now,
            ),
        )

    def moving(self, task: Task, condition: When, /, **fields: object) -> Write:
        return patch(TASKS, task, condition, **fields)

    def holding(self, task: Task, condition: When, /) -> Write:
        """A guard: the commit holds only while the task is as the condition says."""
        return check(TASKS, task, condition)

    async def find(self, task_id: str) -> Task | None:
        try:
            return await self.read(task_id)
        except NotFound:
            return None
