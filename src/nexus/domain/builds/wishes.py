"""What users asked of running builds through this process: where no executor answers in time, the wish is written in its place."""

from collections.abc import Callable

import structlog

from nexus.domain.projects.model import Lost, Project
from nexus.domain.projects.runs import Runs
from nexus.domain.tasks.model import Control, Task

logger = structlog.get_logger()


class Wishes:
    """`patience`: the seconds that an executor has, by this process' own clock."""

    def __init__(self, *, runs: Runs, patience: float, timer: Callable[[], float]) -> None:
        self._runs, self._patience, self._timer = runs, patience, timer
        self._since: dict[tuple[str, Control], float] = {}

    def note(self, project: Project) -> None:
        """After a command. Asking again does not put off the end of the patience."""
        if project.status == "building" and project.control_status != "running":
            self._since.setdefault((project.active_task_id, project.control_status), self._timer())

    async def end_unanswered(self) -> list[Task]:
        """Answers the tasks that this ended."""
        now, ended = self._timer(), list[Task]()
        for (task_id, wish), since in list(self._since.items()):
            if now - since < self._patience:
                continue
            del self._since[task_id, wish]
            try:
                ended.append(await self._runs.end_unanswered(task_id, wish))
            except Lost:
                continue
            logger.info("build.unanswered", task_id=task_id, wish=wish)
        return ended
