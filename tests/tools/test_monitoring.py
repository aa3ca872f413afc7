"""Alerts and dashboard ask for what the programs have: metrics and labels that are in the code; alerts have a page."""

import json
import re
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from tests.tools.built import ROOT, needs, tool

from treeward.telemetry import names
from treeward.telemetry.names import Metric

FOLDER = ROOT / "k8s" / "components" / "monitoring"
DASHBOARD = FOLDER / "treeward.dashboard.json"
EVERYWHERE = {"instance", "le"}
"""Labels that Prometheus adds, or histograms have."""


class Query(NamedTuple):
    """One line of a panel."""

    panel: str
    legend: str
    expr: str


def queries() -> list[Query]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [
        Query(panel["title"], target["legendFormat"], target["expr"]) for panel in panels for target in panel["targets"]
    ]


def series_of(metric: Metric) -> set[str]:
    """The names under which a metric is scraped."""
    match metric.kind:
        case "counter":
            return {f"{metric.name}_total"}
        case "gauge":
            return {metric.name}
        case "histogram":
            return {f"{metric.name}{suffix}" for suffix in ("_bucket", "_count", "_sum")}


def test_every_alert_has_a_metric_that_exists_and_a_runbook() -> None:
    series = {series for metric in names.METRICS for series in series_of(metric)}
    rules = yaml.safe_load((FOLDER / "treeward.rules.yaml").read_text())["groups"][0]["rules"]
    fired = {test["name"] for test in yaml.safe_load((FOLDER / "treeward.rules.test.yaml").read_text())["tests"]}
    pages = set()
    for rule in rules:
        assert set(re.findall(r"treeward_\w+", rule["expr"])) <= series, rule["alert"]
        base, _, page = rule["annotations"]["runbook_url"].rpartition("/")
        assert base == '{{ or $externalLabels.treeward_runbooks "docs/runbooks" }}', rule["alert"]
        assert (ROOT / "docs" / "runbooks" / page).read_text().startswith(f"# {rule['alert']}\n"), page
        assert rule["alert"] in fired
        pages.add(page)
    assert pages == {page.name for page in (ROOT / "docs" / "runbooks").iterdir()}, "a page that nothing leads to"


@pytest.mark.parametrize("query", queries(), ids=lambda query: f"{query.panel}-{query.legend}")
def test_a_query_is_of_a_metric_with_these_labels(query: Query) -> None:
    asked = set(re.findall(r"treeward_\w+", query.expr))
    metrics = [metric for metric in names.METRICS if asked & series_of(metric)]
    assert len(metrics) == len(asked) == 1, "one metric a line: with `or` only the first of two would be seen"
    labels = {label for found in re.findall(r"by \(([^)]*)\)", query.expr) for label in found.split(", ")}
    labels |= set(re.findall(r"{{(\w+)}}", query.legend))
    assert labels <= set(metrics[0].labels) | EVERYWHERE, labels


def test_panels_do_not_lie_upon_each_other() -> None:
    places = [tuple(panel["gridPos"].values()) for panel in json.loads(DASHBOARD.read_text())["panels"]]
    assert len(set(places)) == len(places)


@needs("promtool", "`make tools` gets it from Debian's package prometheus")
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"query_{number}", "expr": query.expr} for number, query in enumerate(queries())]
    file = tmp_path / "queries.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([tool("promtool"), "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout
