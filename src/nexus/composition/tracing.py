"""Which tracer a process has."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import metadata

from nexus.domain.ports.tracing import IdTracer, use_tracer
from nexus.settings import Settings


@asynccontextmanager
async def open_tracer(settings: Settings) -> AsyncIterator[None]:
    """Spans are sent while the context is open, where the settings say where to; the last ones when it ends."""
    if not settings.tracing.endpoint or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        yield
        return
    from nexus.adapters.opentelemetry.tracer import OpenTelemetryTracer, make_otlp_provider

    provider = make_otlp_provider(settings.tracing.endpoint, version=metadata.version("nexus"))
    use_tracer(OpenTelemetryTracer(provider))
    try:
        yield
    finally:
        use_tracer(IdTracer())
        await asyncio.to_thread(provider.shutdown)
