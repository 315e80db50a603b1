"""How long an executor has to answer."""

from nexus.domain.builds.wishes import Wishes
from nexus.domain.core.errors import Unavailable
from nexus.domain.projects.model import LeaseLost, Project
from nexus.domain.tasks.model import Control, Task

NOW = "2027-01-15T08:00:00.000Z"


class Executor:
    """What stands behind a wish; `answers`: it has ended by itself."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.answers = self.is_away = False

    async def end_unanswered(self, task_id: str, wish: Control) -> Task:
        if self.is_away:
            raise Unavailable("The database does not answer.")
        if self.answers:
            raise LeaseLost("It answered.")
        self.ended.append(wish)
        return Task(task_id=task_id, task_type="build_agent", tenant_id="tnt_one", user_id="usr_ann", created_at=NOW)


class Watch:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def building(wish: Control, status: str = "building") -> Project:
    return Project(project_id="prj_1", project_name="p", requirement="r", tenant_id="tnt_one", user_id="usr_ann", active_task_id="tsk_1",
                   status=status, control_status=wish, created_at=NOW, updated_at=NOW)  # type: ignore[arg-type]  # a status  # fmt: skip


def asked() -> tuple[Wishes, Executor, Watch]:
    executor, watch = Executor(), Watch()
    return Wishes(runs=executor, patience=4.5, timer=watch), executor, watch  # type: ignore[arg-type]  # the one verb that is used


async def test_a_wish_is_written_when_patience_is_over_and_once() -> None:
    wishes, executor, watch = asked()
    wishes.note(building("paused"))
    watch.now = 4.0
    wishes.note(building("paused"))
    assert await wishes.end_unanswered() == []
    watch.now = 4.6
    assert len(await wishes.end_unanswered()) == 1
    assert await wishes.end_unanswered() == []
    assert executor.ended == ["paused"]


async def test_a_wish_that_comes_again_has_a_patience_of_its_own() -> None:
    wishes, executor, watch = asked()
    wishes.note(building("paused"))
    watch.now = 3.0
    wishes.note(building("running"))
    wishes.note(building("paused"))
    watch.now = 5.0
    assert await wishes.end_unanswered() == []
    watch.now = 6.0
    wishes.note(building("stopped"))
    watch.now = 8.0
    assert await wishes.end_unanswered() == []
    watch.now = 10.6
    await wishes.end_unanswered()
    assert executor.ended == ["stopped"]


async def test_a_wish_that_was_answered_leaves_nothing_behind() -> None:
    wishes, executor, watch = asked()
    wishes.note(building("paused"))
    wishes.note(building("paused", status="paused"))
    watch.now = 10.0
    wishes.note(building("paused"))
    assert await wishes.end_unanswered() == []
    executor.answers = True
    watch.now = 20.0
    assert await wishes.end_unanswered() == []
    executor.answers = False
    assert await wishes.end_unanswered() == []


async def test_a_wish_outlives_a_store_that_is_away() -> None:
    wishes, executor, watch = asked()
    wishes.note(building("stopped"))
    watch.now, executor.is_away = 5.0, True
    assert await wishes.end_unanswered() == []
    executor.is_away = False
    assert len(await wishes.end_unanswered()) == 1
