"""`nexus tasks`: work in the background."""

from nexus.cli.asked import Asked
from nexus.cli.tables import Shape, show_list
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


async def list_tasks(asked: Asked, client: Client) -> None:
    await show_list(asked, client.list_tasks(), TASKS)


async def show(asked: Asked, client: Client) -> None:
    asked.output.write_object_fields(await client.fetch_task(asked.arguments.task))
