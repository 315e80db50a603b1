"""Logs: one JSON object a line, or pretty on a terminal; always on stderr, the standard library's records included."""

import logging
import sys
from functools import lru_cache
from typing import Literal

import msgspec
import structlog
from structlog.typing import EventDict, WrappedLogger

LEAST_SECRET = ("authorization", "api_key", "token", "secret", "password")


def configure(level: str, form: Literal["auto", "json", "pretty"]) -> None:
    """Sets up logging for the whole process; may be called again."""
    pretty = form == "pretty" or (form == "auto" and sys.stderr.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _masked,
    ]
    foreign: structlog.typing.Processor = _pretty() if pretty else _json
    own: list[structlog.typing.Processor] = [foreign] if pretty else [structlog.processors.format_exc_info, _json]
    factory = structlog.PrintLoggerFactory(sys.stderr) if pretty else structlog.BytesLoggerFactory(sys.stderr.buffer)
    structlog.configure(
        processors=[*shared, *own],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=factory,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    plain = foreign if pretty else _json_text
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.processors.format_exc_info],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, plain],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)


def _pretty() -> structlog.typing.Processor:
    """Tracebacks without the values of variables: they may be secrets."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def _json(logger: WrappedLogger, method: str, event: EventDict) -> bytes:
    """One line; what JSON has no word for is told as text."""
    return msgspec.json.encode(event, enc_hook=repr)


def _json_text(logger: WrappedLogger, method: str, event: EventDict) -> str:
    return _json(logger, method, event).decode()


def _masked(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """No secret reaches a log by its usual name."""
    for key in event:
        if _is_secret(key) and not isinstance(event[key], bool | int | float):
            event[key] = "***"
    return event


@lru_cache(maxsize=1000)
def _is_secret(key: str) -> bool:
    return any(word in key.lower() for word in LEAST_SECRET)
