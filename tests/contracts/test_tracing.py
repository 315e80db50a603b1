"""What every Tracer does: it goes on with the trace that it is given, or begins one."""

import asyncio
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider

from nexus.adapters.opentelemetry.tracer import OpenTelemetryTracer
from nexus.domain.ports.tracing import (
    IdTracer,
    TraceContext,
    Tracer,
    get_traceparent,
    open_span,
    parse_traceparent,
    start_span,
    use_tracer,
)

PARENT = TraceContext("a" * 32, "b" * 16, "01")


@pytest.fixture(params=["ids", "opentelemetry"])
def tracer(request: pytest.FixtureRequest) -> Iterator[Tracer]:
    chosen = IdTracer() if request.param == "ids" else OpenTelemetryTracer(TracerProvider(shutdown_on_exit=False))
    use_tracer(chosen)
    yield chosen
    use_tracer(IdTracer())


def test_a_span_goes_on_with_the_trace_of_its_parent(tracer: Tracer) -> None:
    context = tracer.start_span("a", "server", PARENT).context
    assert (context.trace_id, context.flags) == (PARENT.trace_id, PARENT.flags)
    assert context.span_id != PARENT.span_id
    assert parse_traceparent(str(context)) == context


def test_a_span_without_a_parent_begins_a_trace(tracer: Tracer) -> None:
    one, other = (tracer.start_span("a", "server", None).context for _ in range(2))
    assert one.trace_id != other.trace_id
    assert parse_traceparent(str(one)) == one


def test_a_trace_that_is_not_recorded_stays_so(tracer: Tracer) -> None:
    assert tracer.start_span("a", "server", PARENT._replace(flags="00")).context.flags == "00"


async def test_what_is_opened_inside_a_span_is_below_it(tracer: Tracer) -> None:
    async def read_trace() -> str | None:
        return get_traceparent()

    with open_span("outer", traceparent=str(PARENT)) as outer:
        outer.describe({"size": 1}, name="outer one")
        assert await asyncio.create_task(read_trace()) == str(outer.context)
        with open_span("inner") as inner:
            assert get_traceparent() == str(inner.context)
            assert inner.context.trace_id == PARENT.trace_id
        below = start_span("generator's")
        assert below.context.trace_id == PARENT.trace_id
        assert get_traceparent() == str(outer.context)
        below.end()
    assert get_traceparent() is None


def test_an_exception_leaves_the_span_and_goes_on(tracer: Tracer) -> None:
    with pytest.raises(ValueError, match="odd"), open_span("a"):
        raise ValueError("odd")
    assert get_traceparent() is None


@pytest.mark.parametrize(
    "text",
    ["", "00", f"00-{'0' * 32}-{'b' * 16}-01", f"00-{'a' * 32}-{'0' * 16}-01", f"00-{'A' * 32}-{'b' * 16}-01"],
)
def test_what_is_no_traceparent_is_none(text: str) -> None:
    assert parse_traceparent(text) is None
    with open_span("a", traceparent=text) as span:
        assert span.context.trace_id not in ("0" * 32, "a" * 32)
