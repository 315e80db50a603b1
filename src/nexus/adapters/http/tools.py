"""Routes of the library of tools."""

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery

from nexus.adapters.http.answers import listed, view
from nexus.adapters.http.openapi import documented
from nexus.domain.core.pages import PageRequest
from nexus.domain.core.principal import Principal
from nexus.domain.services import Services
from nexus.wire.lists import Listed
from nexus.wire.tools import ToolView


@get("/tools", operation_id="listTools", **documented("tools"))
async def list_tools(
    caller: NamedDependency[Principal],
    services: NamedDependency[Services],
    window: NamedDependency[PageRequest],
    category: FromQuery[str | None] = None,
) -> Listed[ToolView]:
    """One's own tools, then the library."""
    return listed(await services.tools.page(caller, window, category), ToolView)


@get("/tools/{tool_id:str}", operation_id="getTool", **documented("tools"))
async def get_tool(
    tool_id: FromPath[str], caller: NamedDependency[Principal], services: NamedDependency[Services]
) -> ToolView:
    """A tool, with the schema of its parameters."""
    return view(await services.tools.get(caller, tool_id), ToolView)


ROUTES = [list_tools, get_tool]
