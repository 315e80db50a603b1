"""Logs: one JSON object a line, or pretty on a terminal; always on stderr, the standard library's records included."""

import io
import logging
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, ExcInfo, WrappedLogger

from nexus.domain.core.texts import escape_controls
from nexus.domain.ports.tracing import get_current_trace

LEAST_SECRET = ("authorization", "api_key", "token", "secret", "password")
OF_SEVERAL_LINES = ("exception", "stack")


def configure_logging(level: str, form: Literal["auto", "json", "pretty"]) -> None:
    """Sets up logging for the whole process; may be called again."""
    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True) if pretty else _add_timestamp,
        _mask_secrets,
    ]
    foreign: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer(exception_formatter=_write_plain_traceback) if pretty else _encode_log_event
    )
    last: list[structlog.typing.Processor] = (
        [_escape_event_values] if pretty else [structlog.processors.format_exc_info, _escape_event_values]
    )
    factory = structlog.PrintLoggerFactory(sys.stderr) if pretty else structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=[*shared, *last, foreign],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=factory,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    plain = foreign if pretty else lambda *given: _encode_log_event(*given).decode()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info, _escape_event_values],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, plain],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    for sdk in ("aiobotocore", "botocore"):
        logging.getLogger(sdk).setLevel(
            logging.INFO
        )  # below that they write every request with its headers: 15 records for each


def _write_plain_traceback(out: TextIO, exc_info: ExcInfo) -> None:
    """Without the values of variables: they may be secrets."""
    text = io.StringIO()
    structlog.dev.plain_traceback(text, exc_info)
    out.write(escape_controls(text.getvalue()))


def _add_trace_id(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    if trace := get_current_trace():
        event["trace_id"] = trace.trace_id
    return event


def _add_timestamp(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """As a time, which becomes ISO text in JSON."""
    event["timestamp"] = datetime.now(UTC)
    return event


def _encode_log_event(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
    """One line; what JSON has no word for is told as text."""
    return msgspec.json.encode(event, enc_hook=repr)


def _escape_event_values(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Nothing that a stranger sent steers the terminal of who reads the log, or begins a line of its own there."""
    for key, value in event.items():
        if isinstance(value, str) and value.isprintable():
            continue
        event[key] = escape_controls(value) if key in OF_SEVERAL_LINES else _escape_nested_value(value)
    return event


def _escape_nested_value(value: Any) -> Any:
    if isinstance(value, str):
        return escape_controls(value).replace("\n", "\\n").replace("\t", "\\t")
    if isinstance(value, dict):
        return {_escape_nested_value(key): _escape_nested_value(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_escape_nested_value(one) for one in value]
    return value


def _mask_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """No secret reaches a log by its usual name."""
    for key in event:
        if _is_secret_field_name(key) and not isinstance(event[key], bool | int | float):
            event[key] = "***"
    return event


@lru_cache(maxsize=1000)
def _is_secret_field_name(key: str) -> bool:
    return any(word in key.lower() for word in LEAST_SECRET)
