"""One trace from the request through the row of the work to the call of the model."""

from collections.abc import AsyncIterator, Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, format_span_id, format_trace_id
from structlog.contextvars import get_contextvars

from nexus.adapters.opentelemetry.tracer import OpenTelemetryTracer
from nexus.domain.core.errors import Unavailable
from nexus.domain.ports.models import Delta, End, ModelRequest
from nexus.domain.ports.tracing import IdTracer, get_traceparent, open_span, use_tracer
from nexus.jobs.lanes import Lanes
from tests.domain.builds.scripts import DESIGN, said, script
from tests.domain.builds.test_builds import WANTED as OPENING
from tests.fakes.models import Gate, ScriptedModel, turn
from tests.http.edge import WANTED, Site, open_edge, open_site
from tests.memory_app import ANN, make_adapters, open_app

TRACE, SPAN = "a" * 32, "b" * 16
TRACEPARENT = {"traceparent": f"00-{TRACE}-{SPAN}-01"}


class Recorded:
    """The spans that ended."""

    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def list_spans(self, trace_id: str = TRACE) -> list[ReadableSpan]:
        found = self._exporter.get_finished_spans()
        return [span for span in found if format_trace_id(span.context.trace_id) == trace_id]

    def get(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.list_spans() if span.name == name]
        return span


def parent_of(span: ReadableSpan) -> str:
    return format_span_id(span.parent.span_id) if span.parent else ""


def id_of(span: ReadableSpan) -> str:
    return format_span_id(span.context.span_id)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    use_tracer(OpenTelemetryTracer(provider))
    yield Recorded(exporter)
    use_tracer(IdTracer())


async def chat(site: Site, *turns: object) -> str:
    site.will_say(*turns)
    path = f"/api/v2/sessions/{site.session_id}/stream"
    answer = await site.client.post(path, json={"content": "Hello"}, headers=TRACEPARENT)
    await site.edge.process.queue.wait_until_idle()
    return answer.text


async def test_a_chat_is_one_trace_from_the_request_to_the_model(recorded: Recorded) -> None:
    async with open_site() as site:
        assert "reply.completed" in await chat(site, "4")
    request = recorded.get("POST /api/v2/sessions/{session_id}/stream")
    reply, call = recorded.get("sessions.write_reply"), recorded.get("chat scripted")
    assert (parent_of(request), parent_of(reply), parent_of(call)) == (SPAN, id_of(request), id_of(reply))
    assert [span.kind for span in (request, reply, call)] == [SpanKind.SERVER, SpanKind.CONSUMER, SpanKind.CLIENT]
    assert request.attributes and request.attributes["http.response.status_code"] == 200
    assert call.attributes and call.attributes["gen_ai.usage.output_tokens"] == 5
    assert call.attributes["nexus.purpose"] == "reply"


async def test_a_build_is_one_trace_with_a_span_for_each_stage(recorded: Recorded) -> None:
    async with open_edge(model=script()) as edge:
        asked = await edge.client.post("/api/v2/projects", json=WANTED, headers=TRACEPARENT)
        assert asked.status_code == 202
        await edge.process.queue.wait_until_idle()
    spans = {id_of(span): span for span in recorded.list_spans()}
    build = recorded.get("builds.run")
    assert parent_of(build) == id_of(recorded.get("POST /api/v2/projects"))
    stages = [span for span in spans.values() if span.name.startswith("stage ")]
    assert len(stages) == 9 and {parent_of(stage) for stage in stages} == {id_of(build)}
    calls = [span for span in spans.values() if span.name == "chat scripted"]
    assert calls and {spans[parent_of(call)] for call in calls} <= {*stages}


async def test_a_model_that_fails_marks_its_span(recorded: Recorded) -> None:
    async with open_site() as site:
        assert "reply.failed" in await chat(site, turn(Unavailable("Away.", retry_after=100)))
    call = recorded.get("chat scripted")
    assert call.status.status_code is StatusCode.ERROR
    assert call.attributes and call.attributes["error.type"] == "unavailable"


async def test_a_caller_that_records_nothing_has_nothing_recorded(recorded: Recorded) -> None:
    async with open_site() as site:
        site.will_say("4")
        headers = {"traceparent": f"00-{'c' * 32}-{SPAN}-00"}
        await site.client.post(
            f"/api/v2/sessions/{site.session_id}/messages", json={"content": "Hello"}, headers=headers
        )
        await site.edge.process.queue.wait_until_idle()
    assert recorded.list_spans("c" * 32) == []


async def test_lines_of_a_job_tell_the_trace_of_who_asked_for_it_not_of_who_made_room_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without OpenTelemetry, too."""
    gate, asked, stream = Gate(), list[str](), ScriptedModel.stream

    def stream_and_look(model: ScriptedModel, request: ModelRequest) -> AsyncIterator[Delta | End]:
        asked.append(str(get_traceparent())[3:35])
        assert get_contextvars() == {"job": "sessions.write_reply"}
        return stream(model, request)

    async with open_site(queue=(lanes := Lanes(interactive=1))) as site:
        monkeypatch.setattr(ScriptedModel, "stream", stream_and_look)
        site.will_say(turn("4", gate), turn("5"))
        other = (await site.client.post(f"/api/v2/agents/{site.agent_id}/sessions", json={})).json()["session_id"]
        for session_id, trace_id in ((site.session_id, "c" * 32), (other, TRACE)):
            headers, path = {"traceparent": f"00-{trace_id}-{SPAN}-00"}, f"/api/v2/sessions/{session_id}/messages"
            await site.client.post(path, json={"content": "Hello"}, headers=headers)
        gate.opened.set()
        await lanes.wait_until_idle()
    assert asked == ["c" * 32, TRACE]


async def test_a_build_that_another_process_takes_over_goes_on_in_its_trace(recorded: Recorded) -> None:
    gate = Gate()
    async with open_app(make_adapters(script(design=[turn(gate, "late"), said(DESIGN)]))) as dead:
        with open_span("asked", traceparent=TRACEPARENT["traceparent"]):
            await dead.services.builds.start(ANN, OPENING)
        await gate.reached.wait()
        on = make_adapters(like=dead.adapters, clock=dead.clock, worker_id="w2")
        async with open_app(on) as app:
            await app.sweeper.recover_jobs_at_start(alone=True)
            assert isinstance(app.queue, Lanes)
            await app.queue.wait_until_idle()
        [build] = [span for span in recorded.list_spans() if span.name == "builds.run"]
        assert parent_of(build) == id_of(recorded.get("asked"))
        gate.opened.set()
