"""Metrics: what a scrape says of what was counted."""

import ast
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from treeward.telemetry import names
from treeward.telemetry.metrics import Metrics


def scraped(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.render().decode())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in families
        for sample in family.samples
    }


def test_what_was_counted_is_scraped_under_its_labels() -> None:
    metrics = Metrics()
    completed = metrics.counter(names.UNITS_TOTAL, "zone-a", "completed")
    completed.inc()
    completed.inc(41)
    metrics.counter(names.UNITS_TOTAL, "zone-a", "failed").inc()
    assert metrics.counter(names.UNITS_TOTAL, "zone-a", "completed") is completed
    samples = scraped(metrics)
    assert samples["treeward_units_total", (("outcome", "completed"), ("zone", "zone-a"))] == 42
    assert samples["treeward_units_total", (("outcome", "failed"), ("zone", "zone-a"))] == 1


def test_a_histogram_counts_a_value_on_a_bound_as_not_above_it() -> None:
    metrics = Metrics()
    cell = metrics.histogram(names.PROCESS_DURATION, "zone-a")
    for value in (0.0005, 0.0006, 31.0):
        cell.observe(value)
    samples = scraped(metrics)
    name = "treeward_process_duration_seconds"
    assert samples[f"{name}_bucket", (("le", "0.0005"), ("zone", "zone-a"))] == 1
    assert samples[f"{name}_bucket", (("le", "0.001"), ("zone", "zone-a"))] == 2
    assert samples[f"{name}_bucket", (("le", "30.0"), ("zone", "zone-a"))] == 2
    assert samples[f"{name}_bucket", (("le", "+Inf"), ("zone", "zone-a"))] == 3
    assert samples[f"{name}_count", (("zone", "zone-a"),)] == cell.count == 3
    assert samples[f"{name}_sum", (("zone", "zone-a"),)] == pytest.approx(31.0011)


def test_a_gauge_that_follows_is_asked_at_each_scrape_until_it_is_set() -> None:
    metrics = Metrics()
    rows = [1, 2, 3]
    cell = metrics.gauge(names.ROWS, "zone-a", "pod-1")
    cell.follow(lambda: len(rows))
    key = ("treeward_rows", (("pod", "pod-1"), ("zone", "zone-a")))
    assert scraped(metrics)[key] == 3
    rows.clear()
    assert scraped(metrics)[key] == 0
    cell.set(7)
    assert scraped(metrics)[key] == 7
    metrics.forget(names.ROWS, "zone-a", "pod-1")
    assert key not in scraped(metrics)


def test_a_counter_shows_what_somebody_else_counts_as_well() -> None:
    metrics = Metrics()
    elsewhere = [2]
    cell = metrics.counter(names.PERMISSION_VIOLATIONS)
    cell.follow(lambda: elsewhere[0])
    cell.inc()
    key = ("treeward_permission_violations_total", ())
    assert scraped(metrics)[key] == cell.total == 3
    elsewhere[0] = 5
    assert scraped(metrics)[key] == 6


def test_two_programs_in_one_process_count_for_themselves() -> None:
    one, other = Metrics(), Metrics()
    one.counter(names.PERMISSION_VIOLATIONS).inc()
    other.counter(names.PERMISSION_VIOLATIONS)
    key = ("treeward_permission_violations_total", ())
    assert (scraped(one)[key], scraped(other)[key]) == (1, 0)


def test_a_wrong_number_of_labels_is_a_mistake_of_the_program() -> None:
    with pytest.raises(AssertionError, match="treeward_units"):
        Metrics().counter(names.UNITS_TOTAL, "zone-a")


def test_the_names_of_metrics_follow_the_conventions() -> None:
    assert len({metric.name for metric in names.METRICS}) == len(names.METRICS) >= 25
    for metric in names.METRICS:
        assert re.fullmatch(r"treeward_[a-z_]+", metric.name)
        assert not metric.name.endswith("_total"), "prometheus_client adds it to counters"
        assert metric.help.endswith(".")
        assert (metric.kind == "histogram") == bool(metric.buckets)
        assert list(metric.buckets) == sorted(set(metric.buckets))
        if metric.kind == "histogram":
            assert metric.name.endswith("_seconds")


def test_no_label_can_hold_what_there_may_be_a_million_of() -> None:
    bounded = {"zone", "pod", "kind", "outcome", "reason", "verb", "level"}
    assert {label for metric in names.METRICS for label in metric.labels} <= bounded


def test_the_name_of_a_span_is_a_constant_of_the_table() -> None:
    """Nowhere is a span's name put together: it would carry an id sooner or later."""
    root, seen = Path(__file__).parents[2], 0
    for path in [*root.glob("libs/treeward/**/*.py"), *root.glob("services/*/treeward/**/*.py")]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            if not re.fullmatch(r".*tracer\.span|(rows\.)?encode_name", ast.unparse(node.func)):
                continue
            seen += 1
            made = [
                part for part in ast.walk(node.args[0]) if isinstance(part, ast.Constant | ast.JoinedStr | ast.BinOp)
            ]
            assert not made, f"{path}:{node.lineno}: {ast.unparse(node.args[0])}"
    assert seen >= 9, "spans are made in another way now, which this test does not see"
