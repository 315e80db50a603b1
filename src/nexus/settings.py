"""What the environment may say. Read once; what is misspelt or wrong is refused by name.

`NEXUS_PORT` is the field `port`, `NEXUS_MODEL__NAME` the field `name` of `model`. An empty value counts as not set."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import fields

from nexus.domain.core.errors import InvalidInput
from nexus.domain.core.texts import find_nearest_word

PREFIX = "NEXUS_"
FALLBACKS: Mapping[str, str] = {
    "NEXUS_TABLES__ENDPOINT_URL": "DYNAMODB_ENDPOINT_URL",
    "NEXUS_TABLES__REGION": "AWS_REGION",
    "NEXUS_QUEUE__ENDPOINT_URL": "SQS_ENDPOINT_URL",
    "NEXUS_QUEUE__REGION": "AWS_REGION",
    "NEXUS_TRACING__ENDPOINT": "OTEL_EXPORTER_OTLP_ENDPOINT",
}
"""Variables by other names, which count where those of nexus are not set."""
OPENAI_URL = "https://api.openai.com/v1"


class Secret:
    """Text that shows itself only when it is asked to."""

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)" if self._text else "Secret()"

    __str__ = __repr__

    def __reduce__(self) -> str:
        raise TypeError("A secret is not copied out of the process.")


_Count = Annotated[int, Meta(ge=1, le=100_000)]
_CountFromZero = Annotated[int, Meta(ge=0, le=100_000)]
_Seconds = Annotated[float, Meta(gt=0, le=3600)]
_Text = Annotated[str, Meta(min_length=1)]
_ENDPOINT = Meta(pattern=r"^(https?://[^\s/]+.*)?$")


class _Group(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Model(_Group, frozen=True, kw_only=True):
    provider: Annotated[
        Literal["offline", "openai"],
        "`openai`: any compatible endpoint. Unset: `openai` when a key or a base URL is given.",
    ] = "offline"
    base_url: Annotated[str, "Where the model is reached.", Meta(pattern=r"^https?://[^\s/]+")] = OPENAI_URL
    api_key: Annotated[Secret, "The key of the model provider."] = Secret()
    name: Annotated[_Text, "Which model answers."] = "gpt-4o-mini"
    timeout: Annotated[_Seconds, "Seconds that a model may be silent before it is given up."] = 60.0


class Auth(_Group, frozen=True, kw_only=True):
    token: Annotated[Secret, "The bearer token of the local owner; needed to listen beyond this machine."] = Secret()


class TableStorage(_Group, frozen=True, kw_only=True):
    backend: Annotated[Literal["sqlite", "dynamodb"], "Where rows are kept."] = "sqlite"
    endpoint_url: Annotated[str, "DynamoDB at another address than that of AWS.", _ENDPOINT] = ""
    region: Annotated[_Text, "The AWS region of the tables."] = "us-west-2"
    prefix: Annotated[str, "How the names of the tables start.", Meta(pattern=r"^[A-Za-z0-9_.-]*$", max_length=100)] = (
        "nexus_"
    )


class Events(_Group, frozen=True, kw_only=True):
    backend: Annotated[Literal["sqlite", "redis"], "Where the live events of replies are kept."] = "sqlite"


class Queue(_Group, frozen=True, kw_only=True):
    backend: Annotated[
        Literal["inprocess", "arq", "sqs"],
        "What carries builds from the processes that take them to those that run them.",
    ] = "inprocess"
    endpoint_url: Annotated[str, "SQS at another address than that of AWS.", _ENDPOINT] = ""
    region: Annotated[_Text, "The AWS region of the queues in SQS."] = "us-west-2"
    prefix: Annotated[
        str, "How the names of the queues in SQS start.", Meta(pattern=r"^[A-Za-z0-9_-]*$", max_length=40)
    ] = "nexus-"


class RedisStorage(_Group, frozen=True, kw_only=True):
    url: Annotated[str, "The Redis of events, signals and the queue `arq`.", Meta(pattern=r"^(rediss?://\S+)?$")] = ""


class FileStorage(_Group, frozen=True, kw_only=True):
    root: Annotated[str, "Where projects, their files and their git repositories are; unset: the data directory."] = ""


class Builds(_Group, frozen=True, kw_only=True):
    concurrency: Annotated[int, "How many builds run at once in this process.", Meta(ge=1, le=256)] = 4
    per_tenant: Annotated[_Count, "How many builds of one tenant may be queued or run; others are held."] = 100
    held_per_tenant: Annotated[_CountFromZero, "How many builds of one tenant may be held; others are refused."] = 1000
    heartbeat_seconds: Annotated[
        float, "Seconds between two looks for what is wanted of the work in hand.", Meta(gt=0, le=60)
    ] = 1.0
    lease_seconds: Annotated[
        _Seconds,
        "Seconds without a sign of life after which work is taken over; a third of them goes by between two signs.",
    ] = 30.0
    sweep_seconds: Annotated[float, "Seconds between two looks for work that was left.", Meta(gt=0, le=600)] = 5.0
    patience_seconds: Annotated[
        float, "Seconds that a stage waits in all for a model provider that is away.", Meta(ge=0, le=604_800)
    ] = 3600.0


class Log(_Group, frozen=True, kw_only=True):
    level: Annotated[Literal["debug", "info", "warning", "error"], "The least serious entries that are written."] = (
        "info"
    )
    format: Annotated[Literal["auto", "json", "pretty"], "`auto`: pretty on a terminal, JSON elsewhere."] = "auto"


class Limits(_Group, frozen=True, kw_only=True):
    drain_seconds: Annotated[
        float, "Seconds that replies have left to be finished when the server stops.", Meta(ge=0, le=600)
    ] = 10.0
    replies: Annotated[_Count, "How many replies are written at once in this process."] = 1000
    replies_per_tenant: Annotated[_Count, "How many of them may be those of one tenant; others wait."] = 1000
    replies_waiting: Annotated[_CountFromZero, "How many replies of one tenant may wait; others are refused."] = 1000
    stream_seconds: Annotated[
        float, "Seconds after which a stream asks its reader to come again.", Meta(gt=0, le=86_400)
    ] = 600.0
    head_seconds: Annotated[_Seconds, "Seconds within which the head of a request must have come."] = 20.0
    body_seconds: Annotated[_Seconds, "Seconds more within which the body of a request must have come."] = 30.0
    idle_seconds: Annotated[float, "Seconds that a connection is kept between two requests.", Meta(ge=1, le=3600)] = (
        75.0
    )
    connections: Annotated[
        int, "How many connections there may be; fewer where fewer files may be open.", Meta(ge=1)
    ] = 10_000
    connections_per_address: Annotated[
        int, "How many of them one address may hold: one that waits for its peer makes room.", Meta(ge=1)
    ] = 500


class Metrics(_Group, frozen=True, kw_only=True):
    port: Annotated[
        int, "Where `/metrics` and `/health` are answered besides, as a worker answers them nowhere else; 0: nowhere.",
        Meta(ge=0, le=65535),
    ] = 0  # fmt: skip


class Tracing(_Group, frozen=True, kw_only=True):
    endpoint: Annotated[
        str, "Where spans are sent by OTLP over HTTP, before `/v1/traces`; unset: none are.", _ENDPOINT
    ] = ""


class Code(_Group, frozen=True, kw_only=True):
    min_tier: Annotated[
        int, "The least tier of the boundary: below it nothing is run, and no server starts.", Meta(ge=0, le=4)
    ] = 0


class Chaos(_Group, frozen=True, kw_only=True):
    failpoint: Annotated[
        str, "For tests: where the process kills itself, as `after:stage.commit@3`. Never set it elsewhere."
    ] = ""


class Settings(_Group, frozen=True, kw_only=True):
    data_dir: Annotated[_Text, "Where everything is kept."] = "data"
    host: Annotated[_Text, "The address to listen on."] = "127.0.0.1"
    port: Annotated[int, "The port to listen on; 0: any free one.", Meta(ge=0, le=65535)] = 8000
    role: Annotated[
        Literal["all", "api", "worker"], "What this process does: `api` answers requests and replies, `worker` builds."
    ] = "all"
    secret: Annotated[
        Secret, "What seals cursors, the same in all processes; unset: made once for a data directory."
    ] = Secret()
    trusted_proxies: Annotated[
        str, "Addresses and networks, comma-separated, whose connections are not counted by address."
    ] = ""
    model: Model = Model()
    auth: Auth = Auth()
    tables: TableStorage = TableStorage()
    events: Events = Events()
    queue: Queue = Queue()
    redis: RedisStorage = RedisStorage()
    files: FileStorage = FileStorage()
    builds: Builds = Builds()
    log: Log = Log()
    limits: Limits = Limits()
    metrics: Metrics = Metrics()
    tracing: Tracing = Tracing()
    code: Code = Code()
    chaos: Chaos = Chaos()

    @property
    def data_directory(self) -> Path:
        return Path(self.data_dir).absolute()

    @property
    def uses_redis(self) -> bool:
        return self.events.backend == "redis" or self.queue.backend == "arq"

    @property
    def uses_aws(self) -> bool:
        return self.tables.backend == "dynamodb" or self.queue.backend == "sqs"

    @property
    def files_root(self) -> Path:
        """Of projects: shared by all processes where there are several."""
        return Path(self.files.root or self.data_dir).absolute()


_GROUPS: Mapping[str, type[_Group]] = {
    name: hint for name, hint in get_type_hints(Settings).items() if isinstance(hint, type) and issubclass(hint, _Group)
}


class Variable(NamedTuple):
    """One thing that the environment may say. `choices`: the only values, where they are few."""

    name: str
    group: str
    field: str
    type: Any
    default: Any
    doc: str
    choices: tuple[str, ...]

    def parse_value(self, value: object) -> object:
        """ValidationError for what it may not be."""
        text = value.strip() if isinstance(value, str) else value
        if self.type is Secret:
            return text if isinstance(text, Secret) else Secret(str(text))
        return msgspec.convert(
            text.lower() if self.choices and isinstance(text, str) else text, self.type, strict=False
        )


def list_env_variables() -> Iterator[Variable]:
    """Everything that the environment may say, in the order of the fields."""
    groups: Mapping[str, type[_Group]] = {"": Settings, **_GROUPS}
    for prefix, group in groups.items():
        hints = get_type_hints(group, include_extras=True)
        for field in fields(group):
            hint = hints[field.name]
            if get_origin(hint) is Annotated:
                plain, *metas = get_args(hint)
                name = PREFIX + "__".join(filter(None, (prefix, field.name))).upper()
                choices = get_args(plain) if get_origin(plain) is Literal else ()
                [doc] = (meta for meta in metas if isinstance(meta, str))
                type_ = Secret if plain is Secret else hint
                yield Variable(name, prefix, field.name, type_, field.default, doc, choices)


def parse_environment(environ: Mapping[str, str], **overrides: object) -> Settings:
    """Settings from `NEXUS_…` and the variables of FALLBACKS; an override (`port=9000`, `model__name="x"`) wins, unless it is None."""
    known = {variable.name: variable for variable in list_env_variables()}
    set_here = {name: text for name, text in environ.items() if text.strip()}
    sources = _find_fallback_sources(set_here)
    given: dict[str, object] = {name: text for name, text in set_here.items() if name.startswith(PREFIX)}
    given |= {name: set_here[source] for name, source in sources.items()}
    given |= {PREFIX + name.upper(): value for name, value in overrides.items() if value is not None}
    errors, values = list[dict[str, str]](), {group: dict[str, Any]() for group in ("", *_GROUPS)}
    for name, value in sorted(given.items()):
        if (variable := known.get(name)) is None:
            near = find_nearest_word(name.removeprefix(PREFIX), (other.removeprefix(PREFIX) for other in known))
            guess = f" Do you mean {PREFIX}{near}?" if near else ""
            errors.append({"pointer": name, "message": f"{name} is no setting.{guess}"})
            continue
        try:
            values[variable.group][variable.field] = variable.parse_value(value)
        except msgspec.ValidationError as error:
            reason = f"one of {', '.join(variable.choices)}" if variable.choices else error
            source = sources.get(name, name)
            errors.append({"pointer": source, "message": f"{source} is wrong: {reason}."})
    if errors:
        raise InvalidInput(" ".join(error["message"] for error in errors), errors=errors)
    model = values["model"]
    if model.get("api_key") or model.get("base_url"):
        model.setdefault("provider", "openai")
    groups: dict[str, Any] = {name: group(**values[name]) for name, group in _GROUPS.items()}
    return Settings(**values[""], **groups)


def _find_fallback_sources(environ: Mapping[str, str]) -> dict[str, str]:
    """By setting, the variable of another name that counts in its place."""
    return {name: other for name, other in FALLBACKS.items() if name not in environ and other in environ}


def describe_missing_api_key(model: Model) -> str:
    """What a provider that takes no call without a key lacks; empty when nothing."""
    if model.provider == "openai" and model.base_url == OPENAI_URL and not model.api_key:
        return "NEXUS_MODEL__PROVIDER=openai needs NEXUS_MODEL__API_KEY, or another NEXUS_MODEL__BASE_URL."
    return ""
