"""Tasks as users see them, and the leases under which they are done."""

from nexus.domain.core.ids import NewId
from nexus.domain.core.instants import Clock, format_instant
from nexus.domain.core.principal import Principal
from nexus.domain.core.values import JSON
from nexus.domain.ports.database import Page, Tables, Window
from nexus.domain.ports.heartbeat import Heartbeat
from nexus.domain.ports.rows import Place, Write, insert
from nexus.domain.tasks.execution import Executions, LeaseTimes
from nexus.domain.tasks.model import Task
from nexus.domain.tasks.tables import TASK_LEASES, TASKS


class Tasks:
    def __init__(
        self, *, tables: Tables, clock: Clock, new_id: NewId, heartbeat: Heartbeat, times: LeaseTimes = LeaseTimes()
    ) -> None:
        self._tables, self._clock, self._new_id = tables, clock, new_id
        self.executions = Executions(TASK_LEASES, tables=tables, clock=clock, heartbeat=heartbeat, times=times)

    async def get(self, caller: Principal, task_id: str) -> Task:
        return await self._tables.for_caller(caller).get(TASKS, task_id)

    async def list_tasks(self, caller: Principal, window: Window) -> Page[Task]:
        """The caller's tasks, newest first unless the window says otherwise."""
        return await self._tables.for_caller(caller).read_page(TASKS, caller.user_id, index="UserIndex", window=window)

    async def list_project_tasks(self, caller: Principal, project_id: str, window: Window) -> Page[Task]:
        return await self._tables.for_caller(caller).read_page(TASKS, project_id, index="ProjectIndex", window=window)

    async def read(self, task_id: str) -> Task:
        """For the system's own work, whoever owns it."""
        return await self._tables.get(TASKS, task_id)

    def make_task_row_key(self, task_id: str) -> Place:
        """Where a task is kept, for who reads it together with other rows."""
        return TASKS, (task_id,)

    async def find_task(self, task_id: str) -> Task | None:
        return await self._tables.find(TASKS, task_id)

    def make_insert_write(self, task: Task, *, seconds: float = 0.0) -> Write:
        """A new task, looked at so many seconds from now."""
        return insert(TASKS, self.executions.make_scheduled_row(task, seconds=seconds))

    def make_deletion_task(self, owner: Principal, payload: JSON, *, project_id: str | None = None) -> Task:
        """A task that removes what was deleted: `agent_id` or `session_id` in its payload, or the project. It is yet to be inserted."""
        return Task(
            task_id=self._new_id("tsk"),
            task_type="purge",
            tenant_id=owner.tenant_id,
            user_id=owner.user_id,
            project_id=project_id,
            payload=payload,
            created_at=format_instant(self._clock()),
        )

    def make_deletion_write(self, owner: Principal, payload: JSON, *, project_id: str | None = None) -> Write:
        return self.make_insert_write(self.make_deletion_task(owner, payload, project_id=project_id))
