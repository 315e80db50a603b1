"""`nexus tools`: the library."""

from nexus.cli.asked import Asked
from nexus.cli.exits import REFUSED, Ended
from nexus.cli.tables import Shape, show_list
from nexus.cli.terminal import truncate_to_one_line
from nexus.client import Client

TOOLS = Shape(
    columns={
        "NAME": "tool_name",
        "CATEGORY": "category",
        "SOURCE": "source",
        "USED": "usage_count",
        "DESCRIPTION": lambda tool: truncate_to_one_line(tool.description, 100),
    },
    lesser=("SOURCE", "USED", "CATEGORY"),
    empty="There is no such tool.",
)


async def list_tools(asked: Asked, client: Client) -> None:
    await show_list(asked, client.list_tools(category=asked.arguments.category), TOOLS)


async def show(asked: Asked, client: Client) -> None:
    """By id or name."""
    wanted = asked.arguments.tool
    if wanted.startswith("tol_"):
        return asked.output.write_object_fields(await client.fetch_tool(wanted))
    async for tool in client.list_tools():
        if tool.tool_name == wanted:
            return asked.output.write_object_fields(tool)
    raise Ended(REFUSED, f"There is no tool {wanted!r}. This lists those that there are:", ("tools", "list"))
