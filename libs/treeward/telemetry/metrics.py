"""Metrics as plain numbers that are turned into Prometheus samples only when somebody asks.

A cell is one time series. Counting is an addition, without a lock and without a look-up by label, so hot loops keep
the cell they count in. Everything runs in one event loop; `/metrics` is answered in it too.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric as MetricFamily
from prometheus_client.registry import Collector

from treeward.telemetry import names


class Counter:
    """Only grows."""

    __slots__ = ("_source", "value")

    def __init__(self) -> None:
        self.value = 0
        self._source: Callable[[], int] | None = None

    def inc(self, count: int = 1) -> None:
        """Count `count` more."""
        self.value += count

    def follow(self, source: Callable[[], int]) -> None:
        """Add what somebody else counts, asked for at each scrape."""
        self._source = source

    @property
    def total(self) -> int:
        """What a scrape would see now."""
        return self.value if self._source is None else self.value + self._source()


class Gauge:
    """A value that is set, or asked for at each scrape."""

    __slots__ = ("_source", "_value")

    def __init__(self) -> None:
        self._value = 0.0
        self._source: Callable[[], float] | None = None

    def set(self, value: float) -> None:
        """Show `value` from now on."""
        self._value = value
        self._source = None

    def follow(self, source: Callable[[], float]) -> None:
        """Call `source` at each scrape from now on; for what can be counted then, instead of all the time."""
        self._source = source

    @property
    def value(self) -> float:
        """What a scrape would see now."""
        return self._value if self._source is None else float(self._source())


class Histogram:
    """Counts observations by the first bound that is not below them."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count one observation, for example of a duration in seconds."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    @property
    def count(self) -> int:
        """Observations so far."""
        return sum(self.counts)


Cell = Counter | Gauge | Histogram


class Metrics:
    """The metrics of one program, with a registry of its own.

    `counter`, `gauge` and `histogram` give the cell of one time series and make it at the first call, so a series is
    shown from the moment somebody keeps its cell. A wrong kind or number of labels is an AssertionError.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._cells: dict[names.Metric, dict[tuple[str, ...], Cell]] = {}
        self.registry.register(_Rows(self._cells))
        ProcessCollector(registry=self.registry)

    def counter(self, metric: names.Metric, *labels: str) -> Counter:
        """The cell of a counter for these label values, in the order of the table of names."""
        cell = self._cell(metric, labels, Counter)
        assert isinstance(cell, Counter)
        return cell

    def gauge(self, metric: names.Metric, *labels: str) -> Gauge:
        """The cell of a gauge."""
        cell = self._cell(metric, labels, Gauge)
        assert isinstance(cell, Gauge)
        return cell

    def histogram(self, metric: names.Metric, *labels: str) -> Histogram:
        """The cell of a histogram."""
        cell = self._cell(metric, labels, lambda: Histogram(metric.buckets))
        assert isinstance(cell, Histogram)
        return cell

    def forget(self, metric: names.Metric, *labels: str) -> None:
        """Show this series no more, for example of a pod that is owned elsewhere now."""
        self._cells.get(metric, {}).pop(labels, None)

    def render(self) -> bytes:
        """All metrics in the Prometheus text format."""
        return generate_latest(self.registry)

    def _cell(self, metric: names.Metric, labels: tuple[str, ...], make: Callable[[], Cell]) -> Cell:
        assert len(labels) == len(metric.labels), f"{metric.name} has the labels {metric.labels}, not {labels}"
        cells = self._cells.setdefault(metric, {})
        cell = cells.get(labels)
        if cell is None:
            cell = cells[labels] = make()
        return cell


class _Rows(Collector):
    """Shows the cells to prometheus_client."""

    def __init__(self, cells: dict[names.Metric, dict[tuple[str, ...], Cell]]) -> None:
        self._cells = cells

    def describe(self) -> Iterable[MetricFamily]:
        """Nothing to check for duplicates: the registry is ours."""
        return []

    def collect(self) -> Iterable[MetricFamily]:
        """Every family with at least one series."""
        for metric, cells in list(self._cells.items()):
            if metric.kind == "histogram":
                yield _histogram_family(metric, cells)
                continue
            make = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = make(metric.name, metric.help, labels=metric.labels)
            for labels, cell in list(cells.items()):
                assert not isinstance(cell, Histogram)
                family.add_metric(labels, cell.total if isinstance(cell, Counter) else cell.value)
            yield family


def _histogram_family(metric: names.Metric, cells: dict[tuple[str, ...], Cell]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(metric.name, metric.help, labels=metric.labels)
    bounds = [*(repr(bound) for bound in metric.buckets), "+Inf"]
    for labels, cell in list(cells.items()):
        assert isinstance(cell, Histogram)
        family.add_metric(labels, list(zip(bounds, accumulate(cell.counts), strict=True)), cell.sum)
    return family
