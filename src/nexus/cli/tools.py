"""`nexus tools`: the library."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.lists import show_list
from nexus.cli.lookup import tool_of
from nexus.cli.output import Columns
from nexus.cli.parsing import Topics, add_list_verb, one_id, topic, verb
from nexus.cli.terminal import one_line

if TYPE_CHECKING:
    from nexus.client import Client
    from nexus.wire.tools import ToolView


def add(topics: Topics) -> None:
    verbs = topic(topics, "tools", "see the tools that agents may use")
    listed = add_list_verb(verbs, list_tools, "the tools of the library")
    listed.add_argument("--category", help="only those of this category")
    one = verb(verbs, "show", "one tool and its parameters", on_server=show)
    one.add_argument("tool", type=one_id, help="id or name of the tool")


async def list_tools(asked: Asked, client: "Client") -> None:
    columns: Columns[ToolView] = {
        "NAME": lambda tool: tool.tool_name,
        "CATEGORY": lambda tool: tool.category,
        "SOURCE": lambda tool: tool.source,
        "USED": lambda tool: tool.usage_count,
        "DESCRIPTION": lambda tool: one_line(tool.description, 100),
    }
    await show_list(
        asked,
        client.tools(category=asked.arguments.category),
        columns,
        empty="There is no such tool.",
        lesser=("SOURCE", "USED", "CATEGORY"),
    )


async def show(asked: Asked, client: "Client") -> None:
    asked.output.details(await tool_of(client, asked.arguments.tool))
