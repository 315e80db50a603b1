"""Chat models whose calls and tokens are counted, each call in a span."""

from collections.abc import AsyncGenerator
from time import perf_counter

from nexus.adapters.prometheus.metrics import OTHER, ProcessMetrics
from nexus.domain.core.errors import InvalidInput, NexusError, PermissionDenied, QuotaExceeded, Unavailable
from nexus.domain.ports.models import ChatModel, Delta, End, ModelCatalog, ModelRequest
from nexus.domain.ports.tracing import Span, start_span

OUTCOMES = {Unavailable: "unavailable", PermissionDenied: "denied", QuotaExceeded: "quota", InvalidInput: "invalid"}
"""Of a call that failed, by the kind of the error; any other one is `failed`."""

MOST_MODELS = 50
"""Any text may be the name of a model: those that come later are counted together."""


class MeteredCatalog:
    """A ModelCatalog in front of another one."""

    def __init__(self, catalog: ModelCatalog, metrics: ProcessMetrics) -> None:
        self._catalog, self._metrics = catalog, metrics
        self._labels, self._models = set[str](), dict[ChatModel, ChatModel]()

    def get_model(self, name: str) -> ChatModel:
        model = self._catalog.get_model(name)
        if model not in self._models:
            self._models[model] = MeteredModel(model, self._metrics, label=self._find_label(model.name))
        return self._models[model]

    def _find_label(self, name: str) -> str:
        if len(self._labels) < MOST_MODELS:
            self._labels.add(name)
        return name if name in self._labels else OTHER


class MeteredModel:
    """A ChatModel in front of another one. `label`: what it is called in metrics."""

    def __init__(self, model: ChatModel, metrics: ProcessMetrics, *, label: str) -> None:
        self._model, self._metrics, self._label = model, metrics, label

    @property
    def name(self) -> str:
        return self._model.name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta | End, None]:
        items, began, has_begun, outcome = self._model.stream(request), perf_counter(), False, "cancelled"
        span = start_span(f"chat {self.name}", "client")
        try:
            async for item in items:
                if not has_begun:
                    has_begun = True
                    self._metrics.observe_first_token(self._label, perf_counter() - began)
                if isinstance(item, End):
                    outcome = "completed"
                    self._record_tokens(item, span)
                yield item
        except NexusError as error:
            outcome = OUTCOMES.get(type(error), "failed")
            span.describe({"error.type": outcome})
            raise
        finally:
            span.describe(
                {"gen_ai.operation.name": "chat", "gen_ai.request.model": self.name, "nexus.purpose": request.purpose}
            )
            span.end()
            self._metrics.observe_model_call(self._label, outcome, perf_counter() - began)
            if isinstance(items, AsyncGenerator):
                await items.aclose()

    def _record_tokens(self, end: End, span: Span) -> None:
        if end.usage:
            read, written = end.usage.input_tokens, end.usage.output_tokens
            self._metrics.count_tokens(self._label, read=read, written=written)
            span.describe({"gen_ai.usage.input_tokens": read, "gen_ai.usage.output_tokens": written})
