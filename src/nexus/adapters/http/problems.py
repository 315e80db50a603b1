"""Errors as RFC 9457 problems: one table from kinds to status codes."""

import math
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

import msgspec
import structlog
from litestar import Request
from litestar.exceptions import HTTPException

from nexus.adapters.http.answers import Answer, encode_json
from nexus.domain.core.errors import (
    AlreadyExists,
    Conflict,
    InvalidInput,
    NexusError,
    NotFound,
    PermissionDenied,
    PreconditionFailed,
    QuotaExceeded,
    Unauthenticated,
    Unavailable,
)
from nexus.wire.problems import Fault, Problem

MEDIA_TYPE = "application/problem+json"
_PATH = "/:@!$&'()*+,;="
logger = structlog.get_logger()


class MalformedBody(InvalidInput):
    title = "Malformed body"


class BrokenOff(InvalidInput):
    title = "Incomplete body"


class MalformedRequest(InvalidInput):
    title = "Malformed request"


class MethodNotAllowed(NexusError):
    title = "Method not allowed"


class ContentTooLarge(NexusError):
    title = "Body too large"


class AddressTooLong(NexusError):
    title = "Address too long"


class HeadTooLarge(NexusError):
    title = "Request head too large"


class TooSlow(NexusError):
    title = "Request timeout"


class TooManyConnections(QuotaExceeded):
    title = "Too many connections"


class UnsupportedMediaType(NexusError):
    title = "Unsupported media type"


class ForeignHost(PermissionDenied):
    title = "Unknown host name"


class ForeignOrigin(PermissionDenied):
    title = "Cross-site request refused"


class InternalError(NexusError):
    title = "Internal server error"


STATUSES: Mapping[type[NexusError], int] = {
    MalformedBody: 400,
    BrokenOff: 400,
    MalformedRequest: 400,
    Unauthenticated: 401,
    PermissionDenied: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    TooSlow: 408,
    AlreadyExists: 409,
    Conflict: 409,
    PreconditionFailed: 409,
    ContentTooLarge: 413,
    AddressTooLong: 414,
    UnsupportedMediaType: 415,
    ForeignHost: 421,
    InvalidInput: 422,
    QuotaExceeded: 429,
    HeadTooLarge: 431,
    NexusError: 500,
    Unavailable: 503,
}

_UNTOLD: Mapping[type[NexusError], str] = {
    Unauthenticated: "Send the header `Authorization: Bearer` with the token of this server.",
    NotFound: "There is nothing at this address, or nothing that is yours.",
    Unavailable: "A part of the server does not answer now. Try again later.",
}
"""What these kinds say instead of their own words, which may tell too much: whose a thing is, where a file lies."""

_FACTS: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "status": ("current_status", str),
    "control_status": ("control_status", str),
    "reply_id": ("reply_id", str),
    "verdict": ("verdict", str),
    "unmet": ("unmet", list),
    "revision": ("revision", int),
    "position": ("position", int),
    "limit": ("limit", int),
    "retry_after": ("retry_after", (int, float)),
}
"""What may be told of an error's facts, and under which name."""


def format_allow_header(methods: Collection[str]) -> str:
    """The value of `Allow`: these methods, and HEAD beside GET."""
    return ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))


def get_error_status(kind: type[NexusError]) -> int:
    return next(STATUSES[known] for known in kind.__mro__ if known in STATUSES)


def make_problem_type_urn(kind: type[NexusError]) -> str:
    """`urn:nexus:problem:reply-running` for ReplyRunning."""
    name = vars(kind).get("problem_type") or re.sub(r"(?<!^)(?=[A-Z])", "-", kind.__name__).lower()
    return f"urn:nexus:problem:{name}"


def make_problem_answer(
    error: NexusError, *, path: str, request_id: str, conditional: bool = False, place: str = "body"
) -> Answer[bytes]:
    """The problem that tells an error; `conditional`: the request had an If-Match; `place`: where its faults are, unless they say so."""
    kind = type(error)
    status = get_error_status(kind)
    if status == 500:
        kind, error = InternalError, InternalError()
    if conditional and isinstance(error, PreconditionFailed):
        status = 412
    told = {
        "type": make_problem_type_urn(kind),
        "title": kind.title,
        "status": status,
        "detail": _describe_error(error),
        "instance": quote(path, safe=_PATH),
        "request_id": request_id,
        "errors": _list_validation_faults(error, place),
    }
    facts = {
        name: error.facts[fact] for fact, (name, form) in _FACTS.items() if isinstance(error.facts.get(fact), form)
    }
    content = encode_json(msgspec.convert(told | facts, Problem))
    return Answer(content, status_code=status, headers=_make_error_headers(error), media_type=MEDIA_TYPE)


def _describe_error(error: NexusError) -> str:
    if (untold := _UNTOLD.get(type(error))) is not None:
        return untold
    return f"{error.title}." if "table" in error.facts else error.detail


def _make_error_headers(error: NexusError) -> dict[str, str]:
    headers = {"cache-control": "no-store"}
    if isinstance(seconds := error.facts.get("retry_after"), int | float):
        headers["retry-after"] = str(max(1, math.ceil(seconds)))
    if isinstance(error, Unauthenticated):
        headers["www-authenticate"] = 'Bearer realm="nexus"'
    if isinstance(error, MethodNotAllowed):
        headers["allow"] = str(error.facts.get("allow", ""))
    return headers


def _list_validation_faults(error: NexusError, place: str) -> list[Fault]:
    told: Any = error.facts.get("errors") if isinstance(error, InvalidInput) else None
    return [msgspec.convert({"in": place, **fault}, Fault) for fault in told or ()]


def handle_exception(request: Request[Any, Any, Any], error: Exception) -> Answer[bytes]:
    """For everything that a route, or the way to one, raises."""
    if isinstance(error, HTTPException):
        known = _convert_http_exception(error)
    elif isinstance(error, NexusError):
        known = error
    else:
        known = InternalError()
    if isinstance(known, Unavailable):
        logger.warning("http.unavailable", reason=known.detail)
    elif get_error_status(type(known)) >= 500:
        logger.error("http.failed", exc_info=error)
    elif isinstance(known, BrokenOff):
        logger.warning("http.broken_off")
    return make_problem_answer(
        known,
        path=request.scope["path"],
        request_id=str(request.scope.get("request_id", "")),
        conditional="if-match" in request.headers,
        place="query" if request.method == "GET" else "body",
    )


def _convert_http_exception(error: HTTPException) -> NexusError:
    match error.status_code:
        case 404:
            return NotFound()
        case 405:
            methods = {one.strip() for one in (error.headers or {}).get("allow", "").split(",")}
            return MethodNotAllowed(allow=format_allow_header(methods))
        case 413:
            return ContentTooLarge("The body has too many bytes.")
        case 400 if isinstance(error.extra, list):
            faults = [_make_validation_fault(entry) for entry in error.extra]
            return InvalidInput("; ".join(f"{fault['pointer']}: {fault['message']}" for fault in faults), errors=faults)
        case 400:
            return MalformedRequest("The request is not well formed.")
        case _:
            return InternalError()


def _make_validation_fault(entry: Mapping[str, str]) -> dict[str, str]:
    if entry.get("source") == "body":
        return {"pointer": "", "message": "A JSON body is required."}
    place = entry.get("source", "query")
    return {"in": place, "pointer": pointer_to(entry.get("key", "")), "message": entry.get("message", "")}


def pointer_to(name: str) -> str:
    """The JSON pointer to a member of this name."""
    return "/" + name.replace("~", "~0").replace("/", "~1")
