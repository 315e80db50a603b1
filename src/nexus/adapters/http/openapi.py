"""The document of the API: made from the routes, completed with what every route answers when it refuses."""

import re
import tomllib
from collections.abc import Iterator
from importlib import resources
from typing import Any, get_args

import msgspec
from litestar import Litestar
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, Example, SecurityScheme, Tag

from nexus.adapters.http.problems import MEDIA_TYPE
from nexus.adapters.http.requests import PATTERNS
from nexus.domain.sessions.model import ReplyEvent
from nexus.wire import agents, events, lists, problems, projects, sessions, statistics, system, tasks, tools
from nexus.wire.problems import Problem

TEXTS = tomllib.loads(resources.files("nexus.adapters.http").joinpath("document.toml").read_text("utf-8"))
FIELDS = TEXTS["fields"]
_ALWAYS = (403, 421, 500, 503)

_KINDS = (agents, lists, problems, projects, sessions, statistics, system, tasks, tools)
_EVENTS: dict[str, tuple[Any, ...]] = {
    "build": (*events.OF_BUILDS, events.Reconnect),
    "reply": (*get_args(ReplyEvent), events.Reconnect),
}
_REF = "#/components/schemas/{name}"


def _make_stream_responses(topic: str) -> dict[int, ResponseSpec]:
    events = ResponseSpec(
        str,
        description=f"Server-sent events of a {topic}. `id` is the position, `event` the tag, `data` one JSON object. "
        "The schema is that of one event.",
        media_type="text/event-stream",
        examples=[Example(summary="One event", value=TEXTS["examples"][topic])],
        generate_examples=False,
    )
    return {200: events, 204: ResponseSpec(None, description="Over, and all of it was read.")}


REFUSALS = {
    int(status): ResponseSpec(Problem, description=text, media_type=MEDIA_TYPE, generate_examples=False)
    for status, text in TEXTS["refusals"].items()
}
STREAMS = {topic: _make_stream_responses(topic) for topic in _EVENTS}
UNCHANGED = {304: ResponseSpec(None, description="It is still what the `ETag` in `If-None-Match` says.")}
"""What routes may answer, by status."""


def make_openapi_config(*, version: str, secured: bool) -> OpenAPIConfig:
    return OpenAPIConfig(
        title="nexus",
        version=version,
        description=TEXTS["description"],
        use_handler_docstrings=True,
        tags=[Tag(name=name, description=text) for name, text in TEXTS["tags"].items()],
        components=Components(
            security_schemes={"token": SecurityScheme(type="http", scheme="bearer")} if secured else {}
        ),
        render_plugins=[JsonRenderPlugin(path="/none.json")],
    )


def make_openapi_json(app: Litestar, *, secured: bool) -> bytes:
    """The document of an application that was made with `configured`."""
    schema: dict[str, Any] = app.openapi_schema.to_schema()
    for path, item in schema["paths"].items():
        for operation in item.values():
            _complete_openapi_operation(operation, path, secured=secured)
    known = schema["components"]["schemas"]
    for kinds in _EVENTS.values():
        known |= msgspec.json.schema_components(kinds, ref_template=_REF)[1]
    for name in _list_strict_schema_names():
        known[name]["additionalProperties"] = False
    for name, kind in known.items():
        _add_field_descriptions(name, kind)
    text = msgspec.json.encode(schema).decode()
    return re.sub(r"Listed_nexus\.wire\.\w+\.(\w+?)(?:View|Entry)?_", r"\1List", text).encode()


def _list_strict_schema_names() -> Iterator[str]:
    """The names of bodies that refuse what they do not know."""
    for module in _KINDS:
        for name, kind in vars(module).items():
            if (
                isinstance(kind, type)
                and issubclass(kind, msgspec.Struct)
                and kind.__struct_config__.forbid_unknown_fields
            ):
                yield name


def _add_field_descriptions(kind: str, schema: dict[str, Any]) -> None:
    """Says of each field what it means, where its own declaration does not."""
    for name, field in schema.get("properties", {}).items():
        field.setdefault("description", FIELDS.get(kind, {}).get(name) or FIELDS.get(name, ""))


def _make_event_schema(topic: str) -> dict[str, Any]:
    """One event of a stream, as OpenAPI 3.2 describes them: `data` is a text that is JSON of one of these kinds."""
    tags = {kind.__struct_config__.tag: _REF.format(name=kind.__name__) for kind in _EVENTS[topic]}
    choices = [{"$ref": place} for place in tags.values()]
    kinds = {"oneOf": choices, "discriminator": {"propertyName": "type", "mapping": tags}}
    fields = {
        "id": {"type": "string", "pattern": "^[0-9]+$", "description": "The position; `reconnect` has none."},
        "event": {"type": "string", "enum": list(tags), "description": "The tag."},
        "data": {
            "type": "string",
            "contentMediaType": "application/json",
            "contentSchema": kinds,
            "description": "What happened.",
        },
    }
    return {"type": "object", "required": ["event", "data"], "properties": fields}


def _complete_openapi_operation(operation: dict[str, Any], path: str, *, secured: bool) -> None:
    responses, body = operation["responses"], "requestBody" in operation
    responses.pop("400", None)
    mine = path.startswith("/api/v2") or path == "/metrics"
    wanted = {*_ALWAYS} if mine else set[int]()
    wanted |= {401} if mine else set()
    wanted |= {404} if "{" in path else set()
    wanted |= {400, 413, 415, 422} if body else set()
    wanted |= {422} if operation.get("parameters") else set()
    for parameter in operation.get("parameters", ()):
        _complete_openapi_parameter(parameter)
    if (stream := responses.get("200", {}).get("content", {}).get("text/event-stream")) is not None:
        stream["schema"] = _make_event_schema("build" if "/projects/" in path else "reply")
    for status in sorted(wanted):
        content = {MEDIA_TYPE: {"schema": {"$ref": _REF.format(name="Problem")}}}
        responses.setdefault(str(status), {"description": TEXTS["refusals"][str(status)], "content": content})
    operation["summary"] = operation.get("description", operation["summary"]).split(". ")[0].rstrip(".")
    operation["responses"] = dict(sorted(responses.items()))
    if secured and mine:
        operation["security"] = [{"token": []}]


def _complete_openapi_parameter(parameter: dict[str, Any]) -> None:
    """No parameter is null: it is there or not."""
    name, schema = parameter["name"], parameter["schema"]
    choices = [one for one in schema.pop("oneOf", ()) if one != {"type": "null"}]
    if isinstance(kinds := schema.get("type"), list):
        schema["type"] = next(kind for kind in kinds if kind != "null")
    if "enum" in schema:
        schema["enum"] = [value for value in schema["enum"] if value is not None]
    parameter["schema"] = {**(choices[0] if choices else {}), **schema, **PATTERNS.get(name, {})}
    parameter.setdefault("description", FIELDS.get(name, ""))
