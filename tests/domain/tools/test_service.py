import asyncio
import contextlib
import json

import pytest

from nexus.adapters.memory.tables import MemoryTables
from nexus.domain.core.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from nexus.domain.core.ids import is_valid_id, make_ulid_source
from nexus.domain.core.principal import LOCAL_OWNER, Principal
from nexus.domain.ports.database import Tables, Window
from nexus.domain.ports.rows import insert
from nexus.domain.tools import rules
from nexus.domain.tools.library.registry import LIBRARY
from nexus.domain.tools.model import Tool, ToolError
from nexus.domain.tools.service import Tools
from nexus.domain.tools.tables import TOOLS
from tests.fakes.web import MemoryWeb, ScriptedPage

NOW = 1_800_000_000.0
STRANGER = Principal(tenant_id="tnt_other", user_id="usr_other")
COLLEAGUE = Principal(tenant_id=LOCAL_OWNER.tenant_id, user_id="usr_colleague")
PAGE = "<html><head><title>Hi</title><style>x</style></head><body><p>你好</p><script>evil()</script></body></html>"


NEW_ID = make_ulid_source(lambda: NOW)


@pytest.fixture
def tables() -> Tables:
    return Tables(MemoryTables(), secret=b"s" * 32, clock=lambda: NOW)


@pytest.fixture
def tools(tables: Tables) -> Tools:
    web = MemoryWeb({"https://example.com/": ScriptedPage(text=PAGE, content_type="text/html")})
    return Tools(tables=tables, web=web, clock=lambda: NOW)


def made(name: str, owner: Principal, visibility: str) -> Tool:
    return Tool(
        tool_id=rules.derive_library_tool_id(f"{owner.user_id}/{name}"), tool_name=name, display_name=name, description="", category="math", source="generated",
        version="1", code_path="x", schema={}, created_at="2026-01-01T00:00:00.000Z", updated_at="2026-01-01T00:00:00.000Z",
        tenant_id=owner.tenant_id, user_id=owner.user_id, visibility=visibility,  # type: ignore[arg-type]  # a literal of the table
    )  # fmt: skip


async def used(tools: Tools, tables: Tables, *names: str) -> None:
    """Calls of tools, beside a row that tells of them."""
    marker = NEW_ID("inv")
    await tables.commit(
        insert(TOOLS, made(marker, LOCAL_OWNER, "private")), *tools.make_use_count_writes(names, marker=marker)
    )


async def listed(tools: Tools, limit: int = 7, category: str | None = None) -> list[str]:
    names: list[str] = []
    window = Window(limit=limit)
    while True:
        page = await tools.list_tools(window, category)
        assert len(page.items) <= limit
        names += [tool.tool_name for tool in page.items]
        if page.cursor is None:
            return names
        window = Window(limit=limit, cursor=page.cursor)


async def test_the_library_is_stored_once_however_often_and_by_how_many(tools: Tools) -> None:
    await asyncio.gather(*(tools.register_library_tools() for _ in range(4)))
    assert sorted(await listed(tools)) == sorted(LIBRARY)


async def test_registering_again_keeps_counts_and_tells_changes(tools: Tools, tables: Tables) -> None:
    await tools.register_library_tools()
    tool_id = rules.derive_library_tool_id("calculate")
    await used(tools, tables, "calculate")
    await tools.update_all_use_counts()
    await tables.edit_row(TOOLS, tool_id, change=lambda tool: tool.__class__(**{**_fields(tool), "description": "old"}))
    await tools.register_library_tools()
    tool = await tools.get(STRANGER, tool_id)
    assert (tool.usage_count, tool.description) == (1, LIBRARY["calculate"].spec.description)
    stored = await tables.get(TOOLS, tool_id)
    await tools.register_library_tools()
    assert await tables.get(TOOLS, tool_id) == stored


def _fields(tool: Tool) -> dict[str, object]:
    return {name: getattr(tool, name) for name in tool.__struct_fields__}


def test_ids_of_system_tools_follow_from_their_names() -> None:
    ids = [rules.derive_library_tool_id(name) for name in LIBRARY]
    assert all(is_valid_id(one, "tol") for one in ids)
    assert len(set(ids)) == len(ids)
    assert rules.derive_library_tool_id("calculate") == "tol_3HGW31PQKXTGGQ0XYXQ2GEKR05"


async def test_a_tool_is_seen_by_those_who_may(tools: Tools, tables: Tables) -> None:
    await tools.register_library_tools()
    shared, private = made("shared", LOCAL_OWNER, "tenant"), made("private", LOCAL_OWNER, "private")
    await tables.commit(insert(TOOLS, shared), insert(TOOLS, private))
    assert {"shared", "private"}.isdisjoint(await listed(tools))
    assert await tools.get(COLLEAGUE, shared.tool_id) == shared
    assert await tools.get(LOCAL_OWNER, private.tool_id) == private
    for caller, tool in ((COLLEAGUE, private), (STRANGER, private), (STRANGER, shared)):
        with pytest.raises(NotFound):
            await tools.get(caller, tool.tool_id)
    for unknown in ("tol_" + "0" * 26, "x", "", "../x"):
        with pytest.raises(NotFound):
            await tools.get(LOCAL_OWNER, unknown)


async def test_a_category_lists_what_is_of_it(tools: Tools) -> None:
    await tools.register_library_tools()
    assert sorted(await listed(tools, 2, "finance")) == sorted(
        name for name, tool in LIBRARY.items() if tool.category == "finance"
    )
    assert await listed(tools, 2, "nothing") == []


async def test_a_cursor_of_another_list_is_refused(tools: Tools) -> None:
    await tools.register_library_tools()
    cursor = (await tools.list_tools(Window(limit=2))).cursor
    for broken, category in (("x", None), ("AAAA", None), (cursor, "math")):
        with pytest.raises(InvalidInput):
            await tools.list_tools(Window(limit=2, cursor=broken), category)


async def test_every_call_is_counted_once_beside_what_tells_of_it(tools: Tools, tables: Tables) -> None:
    await tools.register_library_tools()
    await asyncio.gather(
        *(used(tools, tables, "calculate", "calculate", "ask_somebody", "weekday_of") for _ in range(25))
    )
    tool_id = rules.derive_library_tool_id("calculate")
    assert (await tools.get(STRANGER, tool_id)).usage_count == 50
    await asyncio.gather(
        tools.update_use_count(tool_id), tools.update_use_count(tool_id), tools.update_all_use_counts()
    )
    assert (await tools.get(STRANGER, tool_id)).usage_count == 50
    page = await tools.list_tools(Window(limit=100))
    counts = {tool.tool_name: tool.usage_count for tool in page.items if tool.usage_count}
    assert counts == {"calculate": 50, "weekday_of": 25}


async def test_counting_stands_or_falls_with_the_commit(tools: Tools, tables: Tables) -> None:
    await tools.register_library_tools()
    told = insert(TOOLS, made("new", LOCAL_OWNER, "tenant"))
    for _ in range(2):
        with contextlib.suppress(AlreadyExists):
            await tables.commit(told, *tools.make_use_count_writes(["calculate"], marker="inv_1"))
    assert (await tools.get(LOCAL_OWNER, rules.derive_library_tool_id("calculate"))).usage_count == 1


async def test_tools_are_called_by_name(tools: Tools) -> None:
    assert (await tools.call_library_tool("calculate", {"expression": "15% of 80"}))["result"] == 12
    assert (
        await tools.call_library_tool("loan_payment", {"principal": "200000", "annual_rate_percent": 5, "years": 30})
    )["payment"] == 1073.64
    assert (await tools.call_library_tool("current_time", {"timezone": "北京"}))["date"] == "2027-01-15"
    page = await tools.call_library_tool("http_get", {"url": "https://example.com/"})
    assert (page["title"], page["text"]) == ("Hi", "你好")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("nothing", {}), ("calculate", {}), ("calculate", {"expression": "1", "more": 2}), ("current_time", {"clock": 1}), ("http_get", {"url": "x", "web": 1}),
        ("http_get", {"url": "http://169.254.169.254/latest/meta-data"}), ("http_get", {"url": "file:///etc/passwd"}), ("http_get", {"url": "https://unknown.org"}),
    ],
)  # fmt: skip
async def test_a_wrong_call_is_a_sentence(tools: Tools, name: str, arguments: dict[str, object]) -> None:
    with pytest.raises(ToolError):
        await tools.call_library_tool(name, arguments)


async def test_a_call_that_takes_too_long_is_unavailable(tools: Tools) -> None:
    with pytest.raises(Unavailable):
        await tools.call_library_tool("extract_pattern", {"text": "a" * 3000 + "!", "pattern": "(a+)+$"}, seconds=0.05)


async def test_answers_are_json_and_the_loop_goes_on(tools: Tools) -> None:
    examples = {
        "calculate": {"expression": "2**100"},
        "text_statistics": {"text": "你好"},
        "query_csv": {"csv_text": "a,b\n1,2"},
    }
    answers = await asyncio.gather(*(tools.call_library_tool(name, arguments) for name, arguments in examples.items()))
    assert all(json.loads(json.dumps(answer))["text"] for answer in answers)
