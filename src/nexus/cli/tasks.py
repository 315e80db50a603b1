"""`nexus tasks`: work in the background."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.lists import show_list
from nexus.cli.output import Columns
from nexus.cli.parsing import Topics, add_list_verb, one_id, topic, verb

if TYPE_CHECKING:
    from nexus.client import Client
    from nexus.wire.tasks import TaskView


def add(topics: Topics) -> None:
    verbs = topic(topics, "tasks", "see the work in the background")
    add_list_verb(verbs, list_tasks, "your tasks, newest first")
    verb(verbs, "show", "one task", on_server=show).add_argument("task", type=one_id, help="id of the task")


async def list_tasks(asked: Asked, client: "Client") -> None:
    columns: Columns[TaskView] = {
        "ID": lambda task: task.task_id,
        "TYPE": lambda task: task.task_type,
        "STATUS": lambda task: task.status,
        "PROJECT": lambda task: task.project_id or "",
        "CREATED": lambda task: task.created_at[:19],
        "ERROR": lambda task: task.error_message or "",
    }
    await show_list(
        asked,
        client.tasks(),
        columns,
        empty="There is no task.",
        lesser=("CREATED", "TYPE", "PROJECT"),
    )


async def show(asked: Asked, client: "Client") -> None:
    asked.output.details(await client.task(asked.arguments.task))
