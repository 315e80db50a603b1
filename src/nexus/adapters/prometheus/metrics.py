"""What is counted in a process, and the page that Prometheus reads."""

import asyncio
from collections.abc import Callable, Collection

from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
from prometheus_client.exposition import choose_encoder

from nexus.adapters.prometheus.series import Counts, Durations
from nexus.domain.ports.metrics import MetricsPage

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""The label of what does not belong to a known set."""
LAG_SECONDS = 0.5

CALL_BOUNDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
ANSWER_BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
JOB_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600)


class ProcessMetrics:
    """The metrics of one process, in a registry of its own. All is counted in the thread of its event loop."""

    def __init__(self, version: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._make_gauge("build_info", "The version that runs; its value is 1.", "version").labels(version).set(1)
        self._make_request_metrics()
        self._make_job_metrics()
        self._make_model_metrics()
        self._make_store_metrics()
        self._loop_lag = self._make_durations(
            "event_loop_lag_seconds", "How much later than planned the event loop wakes; looked at twice a second.",
            CALL_BOUNDS,
        )  # fmt: skip

    def _make_request_metrics(self) -> None:
        self._requests = self._make_counts(
            "http_requests_total", "HTTP requests that are over.", "method", "route", "status"
        )
        self._request_seconds = self._make_durations(
            "http_request_duration_seconds", "From the head of a request to the end of its answer, streams included.",
            ANSWER_BOUNDS, "method", "route",
        )  # fmt: skip
        self._streams = self._make_gauge("http_streams_open", "Event streams that are open now.")

    def _make_job_metrics(self) -> None:
        self._jobs = self._make_counts("jobs_total", "Runs of jobs that are over.", "kind", "outcome")
        self._job_seconds = self._make_durations(
            "job_duration_seconds", "How long runs of jobs took.", JOB_BOUNDS, "kind"
        )
        self._jobs_running = self._make_gauge("jobs_running", "Jobs that run in this process now.", "lane")
        self._jobs_waiting = self._make_gauge("jobs_waiting", "Jobs that wait in this process now.", "lane")
        self._oldest_wait = self._make_gauge(
            "oldest_waiting_job_seconds",
            "How long the job has waited that waits longest, here or in the store.",
            "lane",
        )
        self._jobs_stuck = self._make_gauge(
            "jobs_stuck", "Work that nobody does, for no reason that is known: must be 0."
        )
        self._work_ended = self._make_counts(
            "work_ended_total", "Rows of work that this process ended, and how.", "table", "status"
        )
        self._takeovers = self._make_counts(
            "lease_takeovers_total", "Leases taken from workers that gave no sign of life.", "table"
        )

    def _make_model_metrics(self) -> None:
        self._calls = self._make_counts("model_calls_total", "Calls of chat models that are over.", "model", "outcome")
        self._call_seconds = self._make_durations(
            "model_call_duration_seconds", "How long calls of chat models took.", ANSWER_BOUNDS, "model"
        )
        self._first_token_seconds = self._make_durations(
            "model_first_token_seconds", "From the call of a chat model to what it says first.", ANSWER_BOUNDS, "model"
        )
        self._tokens = self._make_counts(
            "model_tokens_total", "Tokens, as the provider of the model counts them.", "model", "direction"
        )

    def _make_store_metrics(self) -> None:
        self._store_calls = self._make_counts(
            "store_calls_total", "Calls of the store: one counts for each table that it touches.",
            "operation", "table", "outcome",
        )  # fmt: skip
        self._store_seconds = self._make_durations(
            "store_call_duration_seconds", "How long calls of the store took.", CALL_BOUNDS, "operation"
        )
        self._fenced_writes = self._make_counts(
            "fenced_writes_total", "Writes refused, as another worker had claimed the work meanwhile.", "table"
        )

    def _make_counts(self, name: str, documentation: str, *labels: str) -> Counts:
        counts = Counts(f"nexus_{name}", documentation, labels)
        self._registry.register(counts)
        return counts

    def _make_durations(self, name: str, documentation: str, bounds: Collection[float], *labels: str) -> Durations:
        durations = Durations(f"nexus_{name}", documentation, labels, bounds=[*bounds])
        self._registry.register(durations)
        return durations

    def _make_gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(f"nexus_{name}", documentation, labels, registry=self._registry)

    # --- the port

    def observe_request(self, method: str, route: str, status: int, seconds: float) -> None:
        method, route = method if method in METHODS else OTHER, route or OTHER
        self._requests.add(1, method, route, str(status))
        self._request_seconds.observe(seconds, method, route)

    def make_page(self, accept: str) -> MetricsPage:
        encode, media_type = choose_encoder(accept)
        return MetricsPage(encode(self._registry), media_type)

    # --- what wrappers of other ports observe

    def observe_job(self, kind: str, outcome: str, seconds: float) -> None:
        self._jobs.add(1, kind, outcome)
        self._job_seconds.observe(seconds, kind)

    def observe_model_call(self, model: str, outcome: str, seconds: float) -> None:
        self._calls.add(1, model, outcome)
        self._call_seconds.observe(seconds, model)

    def observe_first_token(self, model: str, seconds: float) -> None:
        self._first_token_seconds.observe(seconds, model)

    def count_tokens(self, model: str, *, read: int, written: int) -> None:
        self._tokens.add(read, model, "input")
        self._tokens.add(written, model, "output")

    def observe_store_call(self, operation: str, tables: Collection[str], outcome: str, seconds: float) -> None:
        self._store_seconds.observe(seconds, operation)
        for table in tables:
            self._store_calls.add(1, operation, table, outcome)

    def count_fenced_write(self, table: str) -> None:
        self._fenced_writes.add(1, table)

    def count_takeover(self, table: str) -> None:
        self._takeovers.add(1, table)

    def count_ended_work(self, table: str, status: str) -> None:
        self._work_ended.add(1, table, status)

    # --- what is read when the page is asked for

    def watch_open_streams(self, count: Callable[[], int]) -> None:
        self._streams.set_function(count)

    def watch_stuck_jobs(self, count: Callable[[], int]) -> None:
        self._jobs_stuck.set_function(count)

    def watch_lane(
        self, lane: str, *, running: Callable[[], int], waiting: Callable[[], int], oldest: Callable[[], float]
    ) -> None:
        self._jobs_running.labels(lane).set_function(running)
        self._jobs_waiting.labels(lane).set_function(waiting)
        self._oldest_wait.labels(lane).set_function(oldest)

    async def measure_loop_lag(self) -> None:
        """For ever."""
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._loop_lag.observe(max(0.0, loop.time() - due))
