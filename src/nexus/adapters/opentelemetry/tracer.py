"""Spans that OpenTelemetry records and sends over OTLP."""

from collections.abc import Mapping

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)

from nexus.domain.ports import tracing
from nexus.domain.ports.tracing import Attributes, TraceContext

EXPORT_SECONDS = 5

_KINDS: Mapping[tracing.SpanKind, SpanKind] = {
    "server": SpanKind.SERVER,
    "consumer": SpanKind.CONSUMER,
    "client": SpanKind.CLIENT,
    "internal": SpanKind.INTERNAL,
}


class RecordedSpan:
    """A Span of OpenTelemetry's."""

    def __init__(self, span: Span) -> None:
        self._span, at = span, span.get_span_context()
        self.context = TraceContext(format_trace_id(at.trace_id), format_span_id(at.span_id), f"{at.trace_flags:02x}")

    def describe(self, attributes: Attributes, *, name: str = "") -> None:
        self._span.set_attributes(attributes)
        if name:
            self._span.update_name(name)
        if "error.type" in attributes:
            self._span.set_status(Status(StatusCode.ERROR))

    def end(self) -> None:
        self._span.end()


class OpenTelemetryTracer:
    """A Tracer. What is recorded, the sampler of the provider decides: unless told otherwise, what the parent says."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("nexus")

    def start_span(self, name: str, kind: tracing.SpanKind, parent: TraceContext | None) -> RecordedSpan:
        context = Context() if parent is None else _make_parent_context(parent)
        return RecordedSpan(self._tracer.start_span(name, context, _KINDS[kind]))


def _make_parent_context(parent: TraceContext) -> Context:
    flags = TraceFlags(int(parent.flags, 16))
    context = SpanContext(int(parent.trace_id, 16), int(parent.span_id, 16), is_remote=True, trace_flags=flags)
    return set_span_in_context(NonRecordingSpan(context), Context())


def make_otlp_provider(endpoint: str, *, version: str) -> TracerProvider:
    """Sends spans in a thread of its own. `OTEL_…` variables say the rest: headers, sampler, attributes, another service name."""
    resource = Resource.create({SERVICE_VERSION: version})
    if str(resource.attributes[SERVICE_NAME]).startswith("unknown_service"):
        resource = resource.merge(Resource({SERVICE_NAME: "nexus"}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider
