"""What the metrics of a process promise, and what a store says of leases."""

import asyncio
import contextlib

import pytest
from prometheus_client.parser import text_string_to_metric_families

from nexus.adapters.memory.tables import MemoryTables
from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.adapters.prometheus.models import MOST_MODELS, MeteredCatalog
from nexus.adapters.prometheus.tables import MeteredTables
from nexus.domain.core.errors import Stale
from nexus.domain.ports.database import Tables
from nexus.domain.ports.metrics import Metrics
from nexus.domain.ports.models import ChatModel, ModelRequest
from tests.contracts.stored import Clock
from tests.contracts.test_executions import Desk
from tests.fakes.models import ScriptedModel, turn


@pytest.fixture
def metrics() -> ProcessMetrics:
    return ProcessMetrics("1.2.3")


@pytest.fixture
def desk(metrics: ProcessMetrics, clock: Clock) -> Desk:
    return Desk(Tables(MeteredTables(MemoryTables(), metrics), secret=b"s", clock=clock), clock)


def find(metrics: Metrics, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(metrics.make_page("").content.decode())
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())


def test_a_request_is_counted_once_and_falls_into_its_bucket(metrics: ProcessMetrics) -> None:
    metrics.observe_request("GET", "/things/{id}", 200, 0.025)
    metrics.observe_request("GET", "/things/{id}", 200, 400)
    assert find(metrics, "nexus_http_requests_total", method="GET", route="/things/{id}", status="200") == 2
    name = "nexus_http_request_duration_seconds"
    assert [find(metrics, f"{name}_bucket", le=end) for end in ("0.01", "0.025", "300.0", "+Inf")] == [0, 1, 1, 2]
    assert (find(metrics, f"{name}_count"), find(metrics, f"{name}_sum")) == (2, 400.025)


def test_what_a_stranger_sends_makes_no_labels(metrics: ProcessMetrics) -> None:
    for number in range(100):
        metrics.observe_request(f"M{number}", "", 404, 0.1)
    assert find(metrics, "nexus_http_requests_total", method="other", route="other", status="404") == 100


async def test_names_of_models_beyond_some_are_counted_together(metrics: ProcessMetrics) -> None:
    class Anything:
        def get_model(self, name: str) -> ChatModel:
            return ScriptedModel(turn("Yes."), name=name)

    catalog = MeteredCatalog(Anything(), metrics)
    for number in range(MOST_MODELS + 3):
        _ = [item async for item in catalog.get_model(f"m{number}").stream(ModelRequest(messages=()))]
    assert find(metrics, "nexus_model_calls_total", model="m0", outcome="completed") == 1
    assert find(metrics, "nexus_model_calls_total", model="other", outcome="completed") == 3


async def test_the_lag_of_the_event_loop_is_measured(metrics: ProcessMetrics) -> None:
    measures = asyncio.ensure_future(metrics.measure_loop_lag())
    async with asyncio.timeout(20):
        while not find(metrics, "nexus_event_loop_lag_seconds_count"):
            await asyncio.sleep(0.05)
    measures.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await measures


async def test_a_takeover_and_the_write_that_it_fences_off_are_counted(metrics: ProcessMetrics, desk: Desk) -> None:
    row = await desk.add()
    held = await desk.does(desk.one.make_claim_write(row, "w1"))
    assert find(metrics, "nexus_lease_takeovers_total") == 0
    await desk.does(desk.other.make_takeover_write(held, "w2"))
    assert find(metrics, "nexus_lease_takeovers_total", table="errands") == 1
    assert find(metrics, "nexus_fenced_writes_total") == 0
    for late in (desk.one.make_guard_write(held), desk.one.make_status_write(held, "completed")):
        with pytest.raises(Stale):
            await desk.tables.commit(late)
    assert find(metrics, "nexus_fenced_writes_total", table="errands") == 2
    assert find(metrics, "nexus_store_calls_total", operation="write", outcome="refused") == 2
    assert find(metrics, "nexus_work_ended_total") == 0


async def test_a_claim_that_came_second_and_a_change_of_mind_are_no_fenced_writes(
    metrics: ProcessMetrics, desk: Desk
) -> None:
    row = await desk.add()
    held = await desk.does(desk.one.make_claim_write(row, "w1"))
    await desk.does(desk.other.make_control_write(held, "stopped"))
    late = (desk.other.make_claim_write(row, "w2"), desk.one.make_guard_write(held, ("running",)))
    for write in late:
        with pytest.raises(Stale):
            await desk.tables.commit(write)
    assert find(metrics, "nexus_fenced_writes_total") == 0
    assert find(metrics, "nexus_lease_takeovers_total") == 0


async def test_work_that_ended_is_counted_by_how_it_did(metrics: ProcessMetrics, desk: Desk) -> None:
    for name, status in (("a", "completed"), ("b", "failed"), ("c", "failed")):
        row = await desk.add(name)
        held = await desk.does(desk.one.make_claim_write(row, "w1"))
        await desk.does(desk.one.make_status_write(held, status))
    assert find(metrics, "nexus_work_ended_total", table="errands", status="completed") == 1
    assert find(metrics, "nexus_work_ended_total", table="errands", status="failed") == 2
