"""What is read from a request: its JSON body, a place in a list, a key, a position, a preference."""

import re
from collections.abc import Collection, Mapping
from typing import Annotated, Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Request
from litestar.params import HeaderParameter, QueryParameter
from msgspec.structs import replace

from nexus.adapters.http.edge import MOST_BYTES
from nexus.adapters.http.problems import BrokenOff, ContentTooLarge, MalformedBody, UnsupportedMediaType, pointer_to
from nexus.adapters.http.streams import Streams
from nexus.domain.core.errors import InvalidInput, NotFound, PreconditionFailed
from nexus.domain.core.ids import is_valid_id
from nexus.domain.core.pages import PAGE_LIMIT, Window
from nexus.domain.core.principal import Principal
from nexus.domain.core.texts import find_nearest_word
from nexus.domain.requests.model import Once
from nexus.domain.requests.model import make_idempotency_key as made_once
from nexus.domain.services import Services

LONGEST_WAIT = 60
PREFIXES = {
    "project_id": "prj",
    "agent_id": "agt",
    "session_id": "ses",
    "reply_id": "msg",
    "message_id": "msg",
    "task_id": "tsk",
    "tool_id": "tol",
}

_KEY = re.compile(r"[\x20-\x7e]{1,200}")
_PLACE = re.compile(r"^(?P<message>.*?)(?: - at `\$(?P<path>[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"[^`]*(unknown|required) field `(.*)`", re.DOTALL)
MOST_PARAMETERS = 100
_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", re.IGNORECASE)
_REVISION = re.compile(r'"([0-9]{1,15})"|\*')
_TAG = r'(W/)?"[\x21\x23-\x7e]*"'
_TAGS = rf"^(\*|{_TAG}(, *{_TAG})*)$"

PATTERNS: Mapping[str, Mapping[str, Any]] = {
    "Idempotency-Key": {"pattern": r"^[\x21-\x7e]([\x20-\x7e]{0,198}[\x21-\x7e])?$"},
    "Last-Event-ID": {"pattern": "^[0-9]{0,15}$"},
    "after": {"pattern": "^[0-9]{0,15}$"},
    "If-Match": {"pattern": _TAGS},
    "Prefer": {"pattern": "^[^\\r\\n]*$", "examples": ["wait=10"]},
    "cursor": {"pattern": "^[A-Za-z0-9_-]*$"},
    "path": {"pattern": r"^[^\\\x00-\x1f\x7f-\x9f]+$"},
    **{name: {"pattern": f"^{prefix}_[0-7][0-9A-HJKMNP-TV-Z]{{25}}$"} for name, prefix in PREFIXES.items()},
}
"""What the document says of parameters that are checked here."""


class JSONRequest(Request[Any, Any, Any]):
    """What a route is asked, and with whose help it answers: looked up here, for a dependency of litestar's costs 5 µs each. A
    body is decoded straight into the Struct that the route wants, and is nothing else than JSON."""

    __slots__ = ("_read",)

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._read: bytes | None = None

    @property
    def caller(self) -> Principal:
        """The one whom the router let pass."""
        known: Principal = self.scope["user"]
        return known

    @property
    def services(self) -> Services:
        known: Services = self.scope["litestar_app"].state.services
        return known

    @property
    def streams(self) -> Streams:
        known: Streams = self.scope["litestar_app"].state.streams
        return known

    async def json(self) -> Any:
        media_type = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" or self.headers.get("content-encoding", "identity") != "identity":
            raise UnsupportedMediaType("Send the body as `Content-Type: application/json`, not compressed.")
        field = self.scope["route_handler"].parsed_data_field
        body = await self.body()
        try:
            return msgspec.json.decode(body, type=field.annotation if field else Any)
        except msgspec.ValidationError as error:
            raise _make_invalid_body_error(str(error), field.annotation if field else None) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise MalformedBody("The body is not well-formed JSON in UTF-8.") from None

    async def body(self) -> bytes:
        """As litestar's, for a third of its work: the server and the edge have looked at the Content-Length already."""
        if self._read is not None:
            return self._read
        body, has_more = bytearray(), True
        while has_more:
            event: Any = await self.receive()
            if event["type"] == "http.disconnect":
                raise BrokenOff("The peer left before its body had come.")
            body += event.get("body", b"")
            has_more = event.get("more_body", False)
            if len(body) > MOST_BYTES:
                raise ContentTooLarge(f"A body has at most {MOST_BYTES} bytes.")
        self._read = bytes(body)
        return self._read


def _make_invalid_body_error(told: str, kind: Any) -> InvalidInput:
    found = _PLACE.match(told)
    message, path = (found["message"], found["path"] or "") if found else (told, "")
    pointer = re.sub(r"\[(\d+|\.\.\.)\]", r"/\1", path).replace(".", "/").replace("///", "/...")
    if (field := _FIELD.fullmatch(message)) is not None:
        if field[1] == "unknown" and not path:
            message += _suggest_parameter_name(field[2], getattr(kind, "__struct_encode_fields__", ()))
        pointer += pointer_to(field[2])
    return InvalidInput(f"{pointer}: {message}".removeprefix(": "), errors=[{"pointer": pointer, "message": message}])


def check_request_parameters(scope: Mapping[str, Any], queries: Mapping[object, Collection[str]]) -> None:
    """NotFound for what cannot be an id, InvalidInput for parameters that the route does not know (`queries`)."""
    for name, value in scope["path_params"].items():
        if (prefix := PREFIXES.get(name)) is not None and not is_valid_id(value, prefix):
            raise NotFound
    if scope["query_string"]:
        check_query_parameters(scope["query_string"], queries.get(scope["route_handler"], ()))


def check_query_parameters(query: bytes, known: Collection[str]) -> None:
    """InvalidInput for parameters that are not known here, or that were given twice."""
    try:
        pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=MOST_PARAMETERS)
    except ValueError:
        raise InvalidInput(f"A query has at most {MOST_PARAMETERS} parameters.") from None
    names = [name for name, _ in pairs]
    faults = [
        _make_parameter_fault(name, f"There is no parameter `{name}` here.{_suggest_parameter_name(name, known)}")
        for name in names
        if name not in known
    ]
    faults += [
        _make_parameter_fault(name, "This parameter was given twice.") for name in known if names.count(name) > 1
    ]
    if faults:
        raise InvalidInput(" ".join(fault["message"] for fault in faults), errors=faults)


def _make_parameter_fault(name: str, message: str) -> dict[str, str]:
    return {"in": "query", "pointer": pointer_to(name), "message": message}


def _suggest_parameter_name(name: str, known: Collection[str]) -> str:
    near = find_nearest_word(name, known)
    return f" Do you mean `{near}`?" if near else ""


def window(
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE_LIMIT, description="Entries of a page, at most.")] = 20,
    cursor: Annotated[
        str | None, QueryParameter(max_length=4000, description="`next_cursor` of the page before.")
    ] = None,
) -> Window:
    return Window(limit=limit, cursor=cursor or None)


def newest(window: Window) -> Window:
    """The same part of a list, from its end."""
    return replace(window, newest_first=True)


async def once(
    request: Request[Any, Any, Any],
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name="Idempotency-Key",
            description="1 to 200 printable ASCII characters. The same key with the same body gets the same answer for a day.",
        ),
    ] = None,
) -> Once | None:
    if idempotency_key is None:
        return None
    if not _KEY.fullmatch(idempotency_key):
        raise _make_parameter_error("header", "Idempotency-Key", "A key has 1 to 200 printable ASCII characters.")
    return made_once(idempotency_key, f"{request.method} {request.scope['path']}", await request.body())


def position(
    last_event_id: Annotated[
        str | None, HeaderParameter(name="Last-Event-ID", description="The last position that was read.")
    ] = None,
    after: Annotated[str | None, QueryParameter(description="The same, for whom a header is too much.")] = None,
) -> int:
    """The position behind which a stream begins; the header counts, where both are given."""
    asked = _parse_event_position("query", "after", after)
    return asked if last_event_id is None else _parse_event_position("header", "Last-Event-ID", last_event_id)


def _parse_event_position(place: str, name: str, wanted: str | None) -> int:
    if not wanted:
        return 0
    if not (wanted.isascii() and wanted.isdecimal() and len(wanted) <= 15):
        raise _make_parameter_error(place, name, "A position is a number that an event of this stream had as its id.")
    return int(wanted)


def wait(
    prefer: Annotated[
        str | None,
        HeaderParameter(
            name="Prefer", description=f"`wait=N`: answer when it is done, within N ≤ {LONGEST_WAIT} seconds."
        ),
    ] = None,
) -> int:
    """For how many seconds the caller would wait for the end."""
    found = _WAIT.search(prefer or "")
    return min(int(found[1]), LONGEST_WAIT) if found else 0


def revision(
    if_match: Annotated[
        str | None,
        HeaderParameter(name="If-Match", description="The `ETag` that was read: 412 when it is no longer so."),
    ] = None,
) -> int | None:
    """The revision that must be the present one."""
    if if_match is None:
        return None
    if not re.match(_TAGS, if_match):
        raise _make_parameter_error("header", "If-Match", "If-Match is an ETag in its quotes, or `*`.")
    if (found := _REVISION.fullmatch(if_match)) is None:
        raise PreconditionFailed("If-Match is one ETag of this resource, or `*`.")
    return int(found[1]) if found[1] else None


def _make_parameter_error(place: str, name: str, message: str) -> InvalidInput:
    return InvalidInput(message, errors=[{"in": place, "pointer": pointer_to(name), "message": message}])
