"""Names, units and help of every metric, judged by Prometheus's own linter, and by the rules that it does not know."""

import re
import subprocess

from tests.tools.built import needs, tool

from treeward.telemetry import names
from treeward.telemetry.metrics import Metrics

LABELS = {"zone", "pod", "outcome", "kind", "level", "reason", "verb", "service"}
"""Each has few values, known when a zone is defined; none ever has a resource's id."""


def every_metric() -> bytes:
    """A scrape in which each metric of the table has a series."""
    metrics = Metrics()
    for metric in names.METRICS:
        {"counter": metrics.counter, "gauge": metrics.gauge, "histogram": metrics.histogram}[metric.kind](
            metric, *("x" for _ in metric.labels)
        )
    return metrics.render()


@needs("promtool", "`make tools` gets it from Debian's package prometheus")
def test_prometheus_finds_nothing_to_complain_about() -> None:
    command = [tool("promtool"), "check", "metrics"]
    done = subprocess.run(command, input=every_metric(), capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@needs("promtool", "`make tools` gets it from Debian's package prometheus")
def test_a_bad_name_would_be_found() -> None:
    command = [tool("promtool"), "check", "metrics"]
    name = b"treeward_wait_milliseconds"
    text = b"# HELP %b How long.\n# TYPE %b gauge\n%b 1\n" % (name, name, name)
    done = subprocess.run(command, input=text, capture_output=True, timeout=60, check=False)
    assert done.returncode != 0 and b"base unit" in done.stderr


def test_labels_are_few_and_times_are_in_seconds() -> None:
    for metric in names.METRICS:
        assert set(metric.labels) <= LABELS, metric.name
        assert re.fullmatch(r"treeward_[a-z_]+", metric.name), metric.name
        assert not re.search(r"_(ms|millis|milliseconds|minutes|total)$", metric.name), metric.name
        assert metric.kind != "histogram" or metric.name.endswith("_seconds"), metric.name
        assert metric.help.endswith("."), metric.name
