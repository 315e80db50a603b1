"""`nexus tools`: the library."""

from nexus.cli.asked import Asked
from nexus.cli.lookup import tool_of
from nexus.cli.tables import Shape, show_list
from nexus.cli.terminal import one_line
from nexus.client import Client

TOOLS = Shape(
    columns={
        "NAME": "tool_name",
        "CATEGORY": "category",
        "SOURCE": "source",
        "USED": "usage_count",
        "DESCRIPTION": lambda tool: one_line(tool.description, 100),
    },
    lesser=("SOURCE", "USED", "CATEGORY"),
    empty="There is no such tool.",
)


async def list_tools(asked: Asked, client: Client) -> None:
    await show_list(asked, client.tools(category=asked.arguments.category), TOOLS)


async def show(asked: Asked, client: Client) -> None:
    asked.output.details(await tool_of(client, asked.arguments.tool))
