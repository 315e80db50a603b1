"""The trace that work belongs to: from the request that asked for it, by its row, to the calls that it makes (W3C Trace Context)."""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, NamedTuple, Protocol

SpanKind = Literal["server", "consumer", "client", "internal"]
Attributes = Mapping[str, str | int | float]

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")


class TraceContext(NamedTuple):
    """A place in a trace, in hexadecimal digits. The lowest bit of `flags` says that the trace is recorded."""

    trace_id: str
    span_id: str
    flags: str = "00"

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{self.flags}"


def parse_traceparent(text: str) -> TraceContext | None:
    """None for what is no such header."""
    found = _TRACEPARENT.fullmatch(text)
    return TraceContext(*found.groups()) if found else None


class Span(Protocol):
    """A piece of work with a beginning and an end."""

    @property
    def context(self) -> TraceContext:
        """Its place: the parent of what is done for it."""
        ...

    def describe(self, attributes: Attributes, *, name: str = "") -> None:
        """Adds attributes, and gives it a better name. `error.type` among them says that it failed."""
        ...

    def end(self) -> None:
        """It is over."""
        ...


class Tracer(Protocol):
    def start_span(self, name: str, kind: SpanKind, parent: TraceContext | None) -> Span:
        """A span below its parent; without one, the first of a trace of its own."""
        ...


class UnrecordedSpan:
    """A span that has its place, and of which nothing is kept."""

    __slots__ = ("context",)

    def __init__(self, context: TraceContext) -> None:
        self.context = context

    def describe(self, attributes: Attributes, *, name: str = "") -> None:
        pass

    def end(self) -> None:
        pass


class IdTracer:
    """Goes on with traces so that logs and other systems can tell what belongs together, and records none."""

    def start_span(self, name: str, kind: SpanKind, parent: TraceContext | None) -> Span:
        span_id = f"{random.getrandbits(64) or 1:016x}"
        if parent is None:
            return UnrecordedSpan(TraceContext(f"{random.getrandbits(128) or 1:032x}", span_id))
        return UnrecordedSpan(TraceContext(parent.trace_id, span_id, parent.flags))


_current: ContextVar[TraceContext | None] = ContextVar("trace", default=None)
_tracer: Tracer = IdTracer()


def use_tracer(tracer: Tracer) -> None:
    """From now on, in the whole process."""
    global _tracer
    _tracer = tracer


def get_current_trace() -> TraceContext | None:
    """The place of the span that is current."""
    return _current.get()


def get_traceparent() -> str | None:
    """The same as a header."""
    context = _current.get()
    return str(context) if context else None


def start_span(name: str, kind: SpanKind = "internal") -> Span:
    """A span below the current one. It does not become current: for generators, which end in other contexts than they began."""
    return _tracer.start_span(name, kind, _current.get())


@contextmanager
def open_span(name: str, kind: SpanKind = "internal", *, traceparent: str | None = None) -> Iterator[Span]:
    """A span below `traceparent`, or else below the current one; it is current inside. An exception ends it as failed."""
    parent = parse_traceparent(traceparent) if traceparent else None
    span = _tracer.start_span(name, kind, parent or _current.get())
    before = _current.set(span.context)
    try:
        yield span
    except Exception as error:
        span.describe({"error.type": type(error).__name__})
        raise
    finally:
        span.end()
        _current.reset(before)
