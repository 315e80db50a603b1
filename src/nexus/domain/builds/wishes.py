"""What users asked of running builds through this process: where no executor answers in time, the wish is written in its place."""

from collections.abc import Callable
from typing import NamedTuple

import structlog

from nexus.domain.core.errors import NexusError, NotFound
from nexus.domain.projects.model import LeaseLost, Project
from nexus.domain.projects.runs import Runs
from nexus.domain.tasks.model import Control, Task

logger = structlog.get_logger()


class _Asked(NamedTuple):
    wish: Control
    since: float


class Wishes:
    """`patience`: the seconds that an executor has, by this process' own clock."""

    def __init__(self, *, runs: Runs, patience: float, timer: Callable[[], float]) -> None:
        self._runs, self._patience, self._timer = runs, patience, timer
        self._since: dict[str, _Asked] = {}

    def note(self, project: Project) -> None:
        """After a command. Asking the same again does not put off the end of the patience; another wish begins anew."""
        task_id, wish = project.active_task_id, project.control_status
        known = self._since.get(task_id)
        if project.status != "building" or wish == "running":
            self._since.pop(task_id, None)
        elif known is None or known.wish != wish:
            self._since[task_id] = _Asked(wish, self._timer())

    async def end_unanswered(self) -> list[Task]:
        """Answers the tasks that this ended."""
        now, ended = self._timer(), list[Task]()
        for task_id, asked in list(self._since.items()):
            if now - asked.since < self._patience:
                continue
            try:
                ended.append(await self._runs.end_unanswered(task_id, asked.wish))
                logger.info("build.unanswered", task_id=task_id, wish=asked.wish)
            except (LeaseLost, NotFound):
                logger.debug("build.answered", task_id=task_id)
            except NexusError as error:  # asked again at the next look
                logger.warning("build.not_ended", task_id=task_id, reason=error.detail)
                continue
            if self._since.get(task_id) is asked:
                del self._since[task_id]
        return ended
