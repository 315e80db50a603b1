"""`nexus tasks`: work in the background."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.parsing import Topics, add_list_verb, add_verbs, topic
from nexus.cli.tables import Shape, show_list

if TYPE_CHECKING:
    from nexus.client import Client

TASKS = Shape(
    columns={
        "ID": "task_id",
        "TYPE": "task_type",
        "STATUS": "status",
        "PROJECT": "project_id",
        "CREATED": "created_at",
        "ERROR": "error_message",
    },
    lesser=("CREATED", "TYPE", "PROJECT"),
    empty="There is no task.",
)


def add(topics: Topics) -> None:
    verbs = topic(topics, "tasks", "see the work in the background")
    add_list_verb(verbs, "your tasks, newest first", list_tasks)
    add_verbs(verbs, "task", "id of the task", ("show", "one task", show))


async def list_tasks(asked: Asked, client: "Client") -> None:
    await show_list(asked, client.tasks(), TASKS)


async def show(asked: Asked, client: "Client") -> None:
    asked.output.details(await client.task(asked.arguments.task))
