"""Numbers by their labels, counted in one thread and made a metric when they are asked for.

The library's own counters and histograms lock for each change, and look their labels up: that takes three times as long."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import accumulate

from msgspec import Struct
from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

Labels = tuple[str, ...]


class Counts(Collector):
    """A counter."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str]) -> None:
        self._name, self._documentation, self.labels = name, documentation, labels
        self._numbers = Counter[Labels]()

    def add(self, number: int, *labels: str) -> None:
        self._numbers[labels] += number

    def make_families(self) -> Iterator[Metric]:
        family = CounterMetricFamily(self._name, self._documentation, labels=self.labels)
        for labels, number in self._numbers.items():
            family.add_metric(labels, number)
        yield family

    collect = make_families  # as the registry calls it


class _Series(Struct):
    """How many seconds fell into each bucket, and their sum."""

    counts: list[int]
    total: float = 0.0


class Durations(Collector):
    """A histogram of seconds. `bounds` are the ends of its buckets, behind which there is one more."""

    def __init__(self, name: str, documentation: str, labels: Sequence[str], *, bounds: Sequence[float]) -> None:
        self._name, self._documentation, self.labels, self._bounds = name, documentation, labels, bounds
        self._ends = [*(str(float(end)) for end in bounds), "+Inf"]
        self._series = dict[Labels, _Series]()

    def observe(self, seconds: float, *labels: str) -> None:
        if (series := self._series.get(labels)) is None:
            series = self._series[labels] = _Series([0] * len(self._ends))
        series.counts[bisect_left(self._bounds, seconds)] += 1
        series.total += seconds

    def make_families(self) -> Iterator[Metric]:
        family = HistogramMetricFamily(self._name, self._documentation, labels=self.labels)
        for labels, series in self._series.items():
            buckets = list(zip(self._ends, accumulate(series.counts), strict=True))
            family.add_metric(labels, buckets, series.total)
        yield family

    collect = make_families  # as the registry calls it
