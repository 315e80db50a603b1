"""Routes of the library of tools."""

from litestar.params import FromQuery

from nexus.adapters.http.answers import view, view_page
from nexus.adapters.http.routes import All, Caller, Id, Routes, Window
from nexus.wire.lists import Listed
from nexus.wire.tools import ToolView

route = Routes("tools")


@route("GET /tools")
async def list_tools(services: All, window: Window, category: FromQuery[str | None] = None) -> Listed[ToolView]:
    """The library of tools."""
    return view_page(await services.tools.page(window, category), ToolView)


@route("GET /tools/{tool_id:str}")
async def get_tool(tool_id: Id, caller: Caller, services: All) -> ToolView:
    """A tool, with the schema of its parameters."""
    return view(await services.tools.get(caller, tool_id), ToolView)
