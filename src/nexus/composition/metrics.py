"""What is counted of a process: the adapters that are wrapped for it, and what is read of its lanes and its sweeper."""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib import metadata
from time import perf_counter
from typing import get_args

from msgspec import structs

from nexus.adapters.prometheus.metrics import ProcessMetrics
from nexus.adapters.prometheus.models import MeteredCatalog
from nexus.adapters.prometheus.tables import MeteredTables
from nexus.composition.adapters import Adapters
from nexus.domain.core.instants import Clock, parse_instant
from nexus.domain.ports.jobs import Lane
from nexus.jobs.lanes import Lanes
from nexus.jobs.outcomes import Outcome
from nexus.jobs.registry import Registry
from nexus.jobs.sweeper import Sweeper

Run = Callable[[bytes], Awaitable[Outcome]]


def make_metrics() -> ProcessMetrics:
    return ProcessMetrics(metadata.version("nexus"))


def meter_adapters(adapters: Adapters, metrics: ProcessMetrics) -> Adapters:
    """The same adapters, with the calls of the store and of models counted. Those of the heartbeat, in its own thread, are not."""
    return structs.replace(
        adapters, tables=MeteredTables(adapters.tables, metrics), models=MeteredCatalog(adapters.models, metrics)
    )


async def run_metered_job(run: Run, registry: Registry, metrics: ProcessMetrics, body: bytes) -> Outcome:
    """Runs a job, and counts what it came to."""
    began, verb = perf_counter(), "cancelled"
    try:
        outcome = await run(body)
        verb = outcome.verb
        return outcome
    finally:
        metrics.observe_job(registry.decode_job(body)[0].name, verb, perf_counter() - began)


def watch_work(metrics: ProcessMetrics, lanes: Lanes, sweeper: Sweeper, clock: Clock) -> None:
    """What waits and runs, as it is whenever the page is asked for."""
    metrics.watch_stuck_jobs(lambda: sweeper.stuck_runs)
    for lane in get_args(Lane):
        metrics.watch_lane(
            lane,
            running=partial(_count_running_jobs, lanes, lane),
            waiting=partial(_count_waiting_jobs, lanes, lane),
            oldest=partial(_compute_longest_wait, lane, lanes, sweeper, clock),
        )


def _count_running_jobs(lanes: Lanes, lane: Lane) -> int:
    return lanes.measure_load(lane).running


def _count_waiting_jobs(lanes: Lanes, lane: Lane) -> int:
    return lanes.measure_load(lane).waiting


def _compute_longest_wait(lane: Lane, lanes: Lanes, sweeper: Sweeper, clock: Clock) -> float:
    """Seconds: in this process, or in a row that the sweeper found when it looked last."""
    since = sweeper.waiting_since.get(lane)
    in_rows = clock() - parse_instant(since) if since else 0.0
    return max(0.0, in_rows, lanes.measure_load(lane).longest_wait)
