"""Routes of the library of tools."""

from litestar.params import FromQuery

from nexus.adapters.http.answers import convert_page_to_wire, convert_to_wire
from nexus.adapters.http.requests import JSONRequest
from nexus.adapters.http.routes import Id, Routes, Window
from nexus.wire.lists import Listed
from nexus.wire.tools import ToolView

route = Routes("tools")


@route("GET /tools")
async def list_tools(request: JSONRequest, window: Window, category: FromQuery[str | None] = None) -> Listed[ToolView]:
    """The library of tools."""
    return convert_page_to_wire(await request.services.tools.list_tools(window, category), ToolView)


@route("GET /tools/{tool_id:str}")
async def get_tool(request: JSONRequest, tool_id: Id) -> ToolView:
    """A tool, with the schema of its parameters."""
    return convert_to_wire(await request.services.tools.get(request.caller, tool_id), ToolView)
