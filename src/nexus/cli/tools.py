"""`nexus tools`: the library."""

from typing import TYPE_CHECKING

from nexus.cli.asked import Asked
from nexus.cli.lookup import tool_of
from nexus.cli.parsing import Topics, add_list_verb, add_verbs, topic
from nexus.cli.tables import Shape, show_list
from nexus.cli.terminal import one_line

if TYPE_CHECKING:
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


def add(topics: Topics) -> None:
    verbs = topic(topics, "tools", "see the tools that agents may use")
    listed = add_list_verb(verbs, "the tools of the library", list_tools)
    listed.add_argument("--category", help="only those of this category")
    add_verbs(verbs, "tool", "id or name of the tool", ("show", "one tool and its parameters", show))


async def list_tools(asked: Asked, client: "Client") -> None:
    await show_list(asked, client.tools(category=asked.arguments.category), TOOLS)


async def show(asked: Asked, client: "Client") -> None:
    asked.output.details(await tool_of(client, asked.arguments.tool))
