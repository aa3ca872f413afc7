"""What a running program shows on its metrics page, found by the port that its log tells."""

import json
import urllib.request
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families


def scrape(log: Path, name: str, **labels: str) -> float | None:
    """One sample of the program that wrote this log (as JSON) last; None: it shows none, or has not started yet."""
    started = [json.loads(line) for line in log.read_text().splitlines() if '"started"' in line]
    if not started:
        return None
    text = urllib.request.urlopen(f"http://127.0.0.1:{started[-1]['http_port']}/metrics", timeout=20).read().decode()
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None
