"""Reports as Prometheus reads them: each figure is looked up when somebody asks, and is counted nowhere else."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from streams.metrics.families import Family

__all__ = ["Figures", "ReportCollector", "Values", "lag_figures"]

Values = float | None | Mapping[tuple[str, ...], float]  # None where there is nothing to tell
Figures = Iterable[tuple[Family, Values]]


class ReportCollector(Collector):
    """Gives a registry what a process tells of itself.

    Parameters
    ----------
    read : returns the figures as they are now; called in the thread that answers, beside the process's own loop.
    """

    def __init__(self, read: Callable[[], Figures]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Give each family with its values."""
        for family, values in self._read():
            if values is None:
                continue
            made = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
            metric = made(family.name, family.help, labels=family.labels)
            found = {(): values} if isinstance(values, int | float) else dict(values)
            for labels, value in found.items():
                metric.add_metric(labels, value)
            yield metric


def lag_figures(lag: Mapping[tuple[str, int], int], prefix: str) -> Values:
    """Return the lag of partitions, of topics named with the prefix, as it is told."""
    return {(topic.removeprefix(prefix), str(partition)): float(n) for (topic, partition), n in lag.items()}
