"""Every reader of text that comes from models, users or the network."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from msgspec import Struct

from nexus.adapters.git import repository
from nexus.adapters.http import requests as http_requests
from nexus.adapters.memory.tables import MemoryTables
from nexus.adapters.offline.model import OfflineModel
from nexus.adapters.openai import refusals
from nexus.adapters.openai.sse import Splitter
from nexus.adapters.openai.wire import Assembly, _wrap_invalid_arguments
from nexus.adapters.structlog import logs
from nexus.adapters.web.guarded import _find_charset
from nexus.cli import terminal
from nexus.client import errors as client_errors
from nexus.client.sse import Parser, TooLong
from nexus.domain.agents import package
from nexus.domain.builds import documents
from nexus.domain.builds import rules as builds_rules
from nexus.domain.builds.outputs import Architecture, Brief
from nexus.domain.core import texts
from nexus.domain.core.errors import NexusError
from nexus.domain.core.ids import is_valid_id
from nexus.domain.models import rules as models_rules
from nexus.domain.models.rules import make_answer_schema
from nexus.domain.ports.addresses import parse_http_url
from nexus.domain.ports.database import Query, Tables, Window
from nexus.domain.ports.models import ChatMessage, ModelRequest, ToolSpec
from nexus.domain.ports.tracing import parse_traceparent
from nexus.domain.sessions import rules as sessions_rules
from nexus.domain.tools.arguments import parse_tool_arguments
from nexus.domain.tools.library import conditions, moments, numbers, pages, units
from nexus.domain.tools.library.registry import LIBRARY
from nexus.domain.tools.tables import TOOLS
from nexus.settings import parse_environment as read_settings
from nexus.wire.projects import NewProject
from tests.fakes.code import spec_of_source

GENERAL = (
    " ", "0", "１", "9.", "a", "A", "what ", "don't ", '"', "'", "(", ")", "[", "{", ",", ";", ".", "-", "+", "/", "\\", "_", ":", "@", "%", "|",
    "\n", "\r\n", "\t", "\0", "&#", "&", "<", "<!--", "</", "`", "```", "$", "#", "=", "é", "e\u0301", "\u0301", "汉", "汉字。", "，", "。", "！？", "\u3000",
    "\u00a0", "\u2028", "\U0001f600", "\u202e", "\ufeff", "1,000", "0x", "a.", "a@", "http://", "2026-", "12:", "((", "[[", "{\"a\":", "\"a\",", "x ", "  \n",
)  # fmt: skip
"""Pieces that are tried on every reader."""

FAST = (" ", "0", "１", "what ", '"', "(", '{"a":', ",", "\n", "&#", "\u0301", "汉", "a.", "<")
"""Those of the quick run."""

TOOL = ToolSpec(
    "tool", "", {"type": "object", "properties": {"items": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "object"}]}}, "text": {"type": "string"}}}
)  # fmt: skip


class Reader(Struct, frozen=True, kw_only=True):
    """`most`: the longest text that comes to it. `pieces` and `frames` (`before…behind`) are its own, beside the general ones; `refusals`: what
    it may raise."""

    name: str
    read: Callable[[str], object]
    most: int
    pieces: tuple[str, ...] = ()
    frames: tuple[str, ...] = ("…",)
    refusals: tuple[type[Exception], ...] = (NexusError,)


def _tool(
    name: str, parameter: str, most: int, *pieces: str, frames: tuple[str, ...] = ("…",), title: str = "", **others: Any
) -> Reader:
    function = LIBRARY[name].function
    read: Callable[[str], object] = lambda text: function(**{parameter: text}, **others)  # noqa: E731 - a reader is a value
    return Reader(name=f"{name} {title or parameter}", read=read, most=most, pieces=pieces, frames=frames)


def _list_tool(name: str, parameter: str, most: int, *pieces: str, **others: Any) -> Reader:
    """Of one list: the text in lines."""
    function = LIBRARY[name].function
    return Reader(
        name=f"{name} {parameter}",
        read=lambda text: function(**{parameter: text.split("\n")}, **others),
        most=most,
        pieces=(*pieces, "a\n", "1\n", "1.5,\n"),
    )


def _bytes(read: Callable[[bytes], object]) -> Callable[[str], object]:
    return lambda text: read(text.encode(errors="replace"))


def _fed(open_parser: Callable[[], Any], text: str, size: int = 4096) -> None:
    """Bytes as a network brings them."""
    parser, whole = open_parser(), text.encode(errors="replace")
    feed = parser.split_sse_payloads if isinstance(parser, Splitter) else parser.parse_sse_chunk
    for at in range(0, len(whole), size):
        feed(whole[at : at + size])


def _trickled(open_parser: Callable[[], Any], text: str) -> None:
    _fed(open_parser, text, size=7)


def _assembled(text: str) -> None:
    """Each line is an event of a stream."""
    assembly = Assembly()
    assembly.add_sse_payloads([line.encode(errors="replace") for line in text.split("\n") if line])
    if assembly.has_stop_reason:
        assembly.make_end_event()


def _calls(text: str) -> None:
    """As many tool calls as the text has characters, each with an index of its own."""
    pieces = [{"index": number, "function": {"name": "f", "arguments": one}} for number, one in enumerate(text)]
    payload = {"choices": [{"delta": {"tool_calls": pieces}, "finish_reason": "tool_calls"}]}
    assembly = Assembly()
    assembly.add_sse_payloads([msgspec.json.encode(payload)])
    assembly.make_end_event()


def _table(text: str) -> object:
    rows = [{"a": line, "b": line} for line in text.split("\n")]
    return LIBRARY["format_table"].function(rows=rows)


def _wide_table(text: str) -> object:
    return LIBRARY["format_table"].function(rows=[dict.fromkeys(text.split(" "), 1)])


def _logged(text: str) -> object:
    return logs._encode_log_event(None, "info", {"event": "x", "text": text})  # type: ignore[arg-type]  # no logger is asked


def _source(text: str) -> object:
    return spec_of_source(text, "tool")


def _cursor(text: str) -> object:
    window = Window(cursor=text or "A")
    return Tables(MemoryTables(), secret=b"s", clock=lambda: 0.0)._open_cursor(Query(TOOLS, None, "x", window))


def _offline(purpose: str, text: str) -> object:
    """What the model without a key makes of a message, with all tools of the library at hand; or of a requirement."""
    if purpose == "reply":
        tools, content = tuple(tool.spec for tool in LIBRARY.values()), text
    else:
        tools, content = (), msgspec.json.encode({"requirement": text}).decode()
    messages = (ChatMessage("system", "Answer."), ChatMessage("user", content))
    request = ModelRequest(
        messages=messages, tools=tools, schema=None if tools else make_answer_schema(Brief), purpose=purpose
    )

    async def read() -> list[object]:
        return [item async for item in OfflineModel(clock=lambda: 1_800_000_000.0).stream(request)]

    return asyncio.run(read())


_RULES = (NexusError, ValueError)
_SSE = (
    "data: x\n\n",
    "data:\n",
    ":\n",
    ": ping\n\n",
    "event: a\n",
    "id: 1\n",
    "\r",
    "\n\n",
    "data: [DONE]\n\n",
    "retry: 1\n",
)
_JSON = ('{"a":1},', "[1,", '"\\u0061', "1,", "null,", '{"":', "\\", "1e9,", '""')
_CSV = ("a,", "a,b\n", '"a"', '""', "a;", "1,2\n", "a\t", '"a,\n"', "1,")

_SAID = (
    "what ",
    "12 inches ",
    "and ",
    "1 + ",
    "% of ",
    "convert ",
    "年",
    "3 km to ",
    "2026-01-01 ",
    "把",
    "，",
    "一百",
    "a,b\n",
    "total ",
    "per ",
    "每",
    "$",
    "to ",
)

READERS: tuple[Reader, ...] = (
    _tool("calculate", "expression", 20_000, "1+", "(1", "-", "2^", "1 ", "sqrt(", "1,000", "3万", "divided  by ", "5!"),
    Reader(name="number", read=numbers.parse_exact, most=20_000, pieces=("1e", "1,", "- ")),
    Reader(name="number in a cell", read=conditions.parse_number, most=20_000, pieces=("1,000", "$-", "1e1", "1%")),
    Reader(name="unit", read=units.find_unit, most=20_000, pieces=("_per_", " per ", "degrees_", "- ", "²"), frames=("…", "x…per")),
    Reader(name="date", read=moments.parse_date, most=20_000, pieces=("2026-", "Jan ", "年", "1st "), frames=("…", "2026…")),
    Reader(name="moment", read=moments.parse_time, most=20_000, pieces=("T", "12:", "下午"), frames=("…", "2026-01-01 …", "2026-01-01T…")),
    Reader(name="time zone", read=moments.find_zone, most=20_000, pieces=("Asia/", "UTC", "+0", "../")),
    _tool("text_statistics", "text", 500_000, "Dr. ", "a-", "a'", "e.g. ", "汉字汉", "a b. ", "…", "\n \n", "x.\"", "1.5"),
    _tool("summarize_by_statistics", "text", 500_000, "Dr. ", "A. ", "a! ", "汉字。", "a\n", "No. ", "a.b.", "一样"),
    _tool("extract_keywords", "text", 500_000, "word ", "汉", "汉字", "天地玄黄宇宙洪荒", "a-b "),
    *(_tool("change_case", "text", 100_000, "aB", "a_b", "a'b", "ǆ", "ß", title=style, style=style) for style in ("upper", "title", "sentence", "snake", "camel")),
    *(
        _tool("extract_entities", "text", 500_000, "a@b.", "a@", "a.b@c", "http://a", "http://)", "(", "1.1.", "1.2.3.4 ", "2026-1-", "1:1", "1,000", "12-", "12 34 ", "+1 (", "a-", "f0", "deadbeef-", "INFO ", title=kind, kind=kind)
        for kind in ("email", "url", "ipv4", "date", "time", "number", "phone", "uuid", "log_level")
    ),
    _tool("extract_pattern", "text", 200_000, "aa", "ab", title="words", pattern=r"\w+"),
    _tool("extract_pattern", "text", 200_000, "aa", title="lazy", pattern=r"a.{0,20}?b", frames=("…",)),
    _tool("extract_pattern", "pattern", 20_000, "a*", "(a", "a{9}", "[a-", "(?:", "|", "(?i)", "\\p{L}", title="pattern", text="aaa"),
    _tool("parse_log_lines", "text", 500_000, "2026-01-01 10:00:00 INFO x\n", '{"level":"info","msg":"x"}\n', "  at x\n", "{\n", "Jan 1 ", "ERROR\n", '{"a":[', "\n"),
    _tool("query_csv", "csv_text", 2_000_000, *_CSV, frames=("…", "a,b\n…", '"…'), title="table"),
    _tool("describe_csv", "csv_text", 2_000_000, *_CSV, frames=("…", "a,b\n…"), title="table"),
    *(_tool("query_csv", name, 20_000, "a ", "( ", "a > ", "sum(", " as ", '"a', ", ", " desc", " not in ", frames=frames, csv_text="a,b\n1,2", title=name) for name, frames in (("order_by", ("…", "a…desc", "sum (…a )")),)),
    Reader(name="condition", read=lambda text: conditions.parse_condition(text, ["a"]), most=20_000, pieces=("a ", "a = ", "not ", "not  contains", '"a'), frames=("…", "a…>1", "a not…x", '"…')),
    Reader(name="aggregate", read=lambda text: conditions.parse_aggregate(text, ["a"]), most=20_000, pieces=("a ", " as ", ") ", "sum("), frames=("…", "sum(…", "sum(a)…x", "sum(a) as…")),
    _tool("query_json", "json_text", 2_000_000, *_JSON, frames=("…", "[…1]", '{"a":"…"}'), title="document"),
    _tool("query_json", "path", 20_000, "[0]", "a.", "['a']", '["a', "[*]", ".", "[ ", json_text='{"a":[1]}', title="path", frames=("…", "[…", "a[…0]")),
    Reader(name="table layout", read=_table, most=200_000, pieces=("a\n", "汉\n", "|", "1\n", "\n")),
    Reader(name="wide table layout", read=_wide_table, most=200_000, pieces=("a b ", "汉 ")),
    _list_tool("sort_list", "items", 200_000),
    _list_tool("count_values", "items", 200_000),
    _list_tool("number_statistics", "numbers", 200_000, "1e29\n", "1e-29\n"),
    Reader(name="web page", read=pages.read_page, most=1_000_000, pieces=("<p", "<p>", "<!--", "<title>", "<svg>", "</svg", "<script>", "</script ", "<a ", "&#", "&#1", "&#0", "&#x", "&amp", "&a", "<!", "<![CDATA[", "<?", "> <", "<br>\n"), frames=("…", "<script>…", "&#…;", "<title>…", "<p …")),
    Reader(name="charset of a page", read=_bytes(partial(_find_charset, "text/html")), most=1_000_000, pieces=("charset", "charset=", "charset ", "charset=  ")),
    Reader(name="charset of a header", read=lambda text: _find_charset(text, b""), most=64_000, pieces=("charset", "charset=", "charset  "), refusals=(NexusError,)),
    Reader(name="address", read=parse_http_url, most=20_000, pieces=("a.", "1.", "http://a", "[", "::", "%", "@", "-", "a-", "xn--", "0x"), frames=("…", "http://…", "http://…/", "http://a/…", "http://[…]/")),
    Reader(name="tool arguments", read=lambda text: parse_tool_arguments(TOOL, text), most=200_000, pieces=_JSON, frames=("…", '{"items":[…]}', '{"items":"[…]"}', '{"text":"…"}', '{…"a":1}', '{"items":[{"a":…}]}')),
    Reader(name="tool arguments of many names", read=lambda text: parse_tool_arguments(TOOL, msgspec.json.encode(dict.fromkeys(map(str, range(len(text) // 8)), 1)).decode()), most=200_000),
    Reader(name="typed answer", read=lambda text: models_rules.parse_answer(Architecture, text), most=500_000, pieces=("```", "``` ", "```json\n", "<think>", "</think>", "``` \n", "\n```", "<think> ", *_JSON), frames=("…", "<think>…", "```…", "x```json\n…", '{"overview":"…'), refusals=_RULES),
    Reader(name="typed answer brief", read=lambda text: models_rules.parse_answer(Brief, text), most=100_000, frames=('{"name":"…"}', '{"slug":"…","name":"a","intent":"new","language":"en"}', '{…'), refusals=_RULES),
    Reader(name="schema name", read=models_rules.make_schema_name, most=100_000),
    Reader(name="tool source", read=_source, most=40_000, pieces=("-", "(", "[", "x=1\n", "\n", "#", "T=T\n", "a.", "a|", "dict[", "'''", "\\\n", " ", "not ", "lambda:", "f'{", "0,", "a if "), frames=("…", "def tool(a: …):\n    pass", "def tool(a=…): pass", "def tool(a):\n    '''…'''", "def tool(a):\n    '''x\n\n    Args:\n        …'''", "def tool(a: '…'): pass")),
    Reader(name="package manifest", read=lambda text: package.parse_package({"agent.toml": text, "prompt.md": ""}), most=100_000, pieces=("a.", "[a]\n", "[[a]]\n", "a=1\n", "[", "a=[", "a={", "'''", '"', "1", "a.a=1\n", "[a.", "#\n", "\\"), frames=("…", "a = …", "[…]", 'a = "…"', "[agent]\nslug='a'\nname='…'", "a=1…", "…=1")),
    Reader(name="requirement", read=builds_rules.check_requirement_text, most=10_000),
    Reader(name="quoted document", read=documents.format_markdown_quote, most=100_000),
    Reader(name="session name", read=sessions_rules.make_session_name, most=50_000),
    Reader(name="weight of a text", read=texts.estimate_tokens, most=500_000),
    Reader(name="text within bytes", read=lambda text: texts.truncate_to_bytes(text, 120_000), most=500_000),
    Reader(name="id", read=lambda text: is_valid_id(text, "prj"), most=20_000, frames=("…", "prj_…")),
    Reader(name="cursor", read=_cursor, most=20_000, pieces=("AA", "==", "=")),
    Reader(name="stream of a provider", read=partial(_fed, Splitter), most=2_000_000, pieces=_SSE, frames=("…", "data: …\n\n", "\ufeff…")),
    Reader(name="stream of a provider, trickling", read=partial(_trickled, Splitter), most=500_000, pieces=_SSE, frames=("…", "data: …\n\n")),
    Reader(name="events of a provider", read=_assembled, most=500_000, pieces=('{"choices":[{"delta":{"content":"a"}}]}\n', '{"choices":[{"delta":{"tool_calls":[{"function":{"name":"f","arguments":"1"}}]}}]}\n', *_JSON), frames=("…", '{"choices":[{"delta":{"content":"…"}}]}', '{"choices":…')),
    Reader(name="tool calls of a provider", read=_calls, most=100_000),
    Reader(name="arguments of past calls", read=_wrap_invalid_arguments, most=200_000, pieces=_JSON),
    Reader(name="refusal of a provider", read=_bytes(lambda body: refusals.classify_http_error(400, body, key="sk-secret")), most=20_000, pieces=("sk-", "token=", "key ", "api_key", *_JSON), frames=("…", '{"error":{"message":"…"}}')),
    Reader(name="words of a provider", read=lambda text: refusals.sanitize_error_message(text, key="sk"), most=200_000, pieces=("sk-", "sk", "key ", "token  ", "api_key=", "bearer")),
    Reader(name="pause of a provider", read=lambda text: refusals.parse_retry_after({"Retry-After": text}, now=0.0), most=64_000, pieces=("Mon, ", "1 Jan ", "(", "GMT ", "1e")),
    Reader(name="stream of the server", read=partial(_fed, Parser), most=2_000_000, pieces=_SSE, frames=("…", "data: …\n\n", "id: …\n\n"), refusals=(NexusError, TooLong)),
    Reader(name="stream of the server, trickling", read=partial(_trickled, Parser), most=500_000, pieces=_SSE, frames=("…", "data: …\n\n"), refusals=(NexusError, TooLong)),
    Reader(name="problem of the server", read=_bytes(lambda body: client_errors.parse_problem_body(400, body)), most=200_000, pieces=_JSON, frames=("…", '{"type":"urn:nexus:problem:x","detail":"…"}')),
    Reader(name="message of a decoder", read=lambda text: http_requests._make_invalid_body_error(text, NewProject), most=1_000_000, pieces=("[0]", " - at `$", "`", "unknown field `", ".", "[...]", "requirement"), frames=("…", "x - at `$…`", "x - at `$…", "Object contains unknown field `…`")),
    Reader(name="preference", read=http_requests.wait, most=64_000, pieces=("wait", "wait=", "wait = ", ",", ", ;", "wait  ")),
    Reader(name="revision", read=http_requests.revision, most=64_000, pieces=('"1"', '"1', "*"), frames=("…", '…"1', '"1"…x')),
    Reader(name="position", read=http_requests.position, most=64_000),
    Reader(name="trace of a request", read=parse_traceparent, most=64_000, pieces=("00-", "0-"), frames=("…", f"00-{'1' * 32}-{'1' * 16}-00-…\n")),
    Reader(name="text for a terminal", read=terminal.remove_control_chars, most=500_000, pieces=("\x1b[", "\x9b", "\ud800")),
    Reader(name="line for a terminal", read=terminal.truncate_to_one_line, most=500_000, pieces=("\x1b[", "a ")),
    Reader(name="JSON for a terminal", read=terminal.escape_json_controls, most=500_000, pieces=("\x1b", "\x9b", "\ud800")),
    Reader(name="log entry", read=_logged, most=200_000, pieces=("\x1b[", "\ud800"), refusals=(NexusError, UnicodeEncodeError)),
    Reader(name="offline chat", read=partial(_offline, "reply"), most=50_000, pieces=_SAID, frames=("…", "Convert 12 inches to cm …", "What is 15% of 80 …?", "…这是什么")),
    Reader(name="offline requirement", read=partial(_offline, "build.intake"), most=10_000, pieces=_SAID, frames=("…", "An agent that converts units …")),
    Reader(name="text of a commit", read=repository._parse_commit_message, most=100_000, pieces=("Nexus-Key: ", "\nNexus-Fence: 1/1", "\nNexus-Key: a", "a: b\n"), frames=("…", "x\n…\nNexus-Fence: 1/1\nNexus-Key: k", "x\nNexus-Fence: 1/…\nNexus-Key: k")),
    Reader(name="settings", read=lambda text: read_settings({"NEXUS_MODEL__BASE_URL": text, "NEXUS_TABLES__PREFIX": text, "NEXUS_MODEL__NAME": text}), most=100_000, pieces=("http://", "https://a", "a,"), frames=("…", "http://…")),
)  # fmt: skip
