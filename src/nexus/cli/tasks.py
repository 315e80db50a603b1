"""`nexus tasks`: work in the background."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.exits import OK
from nexus.cli.parsing import Topics, listing, one_id, topic, verb

if TYPE_CHECKING:
    from nexus.client import Client


def add(topics: Topics) -> None:
    verbs = topic(topics, "tasks", "see the work in the background")
    listing(verbs, list_tasks, "your tasks, newest first")
    verb(verbs, "show", "one task", on_server=show).add_argument("task", type=one_id, help="id of the task")


async def list_tasks(asked: Asked, client: "Client") -> int:
    from nexus.cli.lists import gathered

    found = await gathered(lambda limit, cursor: client.tasks(limit=limit, cursor=cursor), asked.arguments.limit)
    if asked.output.json:
        asked.output.document(found)
        return OK
    columns = {
        "ID": lambda task: task.task_id,
        "TYPE": lambda task: task.task_type,
        "STATUS": lambda task: task.status,
        "PROJECT": lambda task: task.project_id or "",
        "CREATED": lambda task: task.created_at[:19],
        "ERROR": lambda task: task.error_message or "",
    }
    asked.output.table(found.items, columns, empty="There is no task.", lesser=("CREATED", "TYPE", "PROJECT"))
    return OK


async def show(asked: Asked, client: "Client") -> int:
    from nexus.cli.lists import shown

    return shown(asked, await client.task(asked.arguments.task))
