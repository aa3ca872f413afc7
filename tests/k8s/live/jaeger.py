"""Reads traces back from the Jaeger that runs in the cluster."""

import asyncio
import json
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from typing import Any

from treeward.telemetry import names

FOUND_S = 30.0


@dataclass(frozen=True, slots=True)
class Trace:
    """What a person would see of one trace."""

    trace_id: str
    spans: dict[str, int]
    """Name > how often."""
    services: tuple[str, ...]
    instances: tuple[str, ...]
    lives: tuple[int, ...]
    lasted_s: float
    orphans: int
    """Spans whose parent is not there; that of `submit` is the client's, who need not report to this Jaeger."""


async def trace(port: int, trace_id: str, *, until_settled: bool = True) -> Trace | None:
    """The trace once it is whole, or what there is of it after half a minute."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + FOUND_S
    while True:
        found = await asyncio.to_thread(_fetch, f"http://127.0.0.1:{port}/api/traces/{trace_id}")
        seen = None if found is None else seen_in(trace_id, found)
        whole = seen is not None and (not until_settled or names.SETTLE in seen.spans) and seen.orphans == 0
        if whole or loop.time() > give_up_s:
            return seen
        await asyncio.sleep(0.5)


def _fetch(url: str) -> list[dict[str, Any]] | None:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return list(json.load(answer)["data"])
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return None


def seen_in(trace_id: str, found: list[dict[str, Any]]) -> Trace | None:
    """What Jaeger's answer tells; None: it knows no such trace."""
    if not found:
        return None
    spans, processes = found[0]["spans"], found[0]["processes"]
    known = {span["spanID"] for span in spans}
    parents = [
        (span["operationName"], reference["spanID"])
        for span in spans
        for reference in span.get("references", [])
        if reference["refType"] == "CHILD_OF"
    ]
    begun, ended = min(span["startTime"] for span in spans), max(span["startTime"] + span["duration"] for span in spans)
    tags = [{tag["key"]: tag["value"] for tag in span["tags"]} for span in spans]
    instances = {
        tag["value"] for one in processes.values() for tag in one.get("tags", []) if tag["key"] == "service.instance.id"
    }
    return Trace(
        trace_id=trace_id,
        spans=dict(Counter(span["operationName"] for span in spans)),
        services=tuple(sorted({one["serviceName"] for one in processes.values()})),
        instances=tuple(sorted(instances)),
        lives=tuple(sorted({int(one["treeward.life"]) for one in tags if "treeward.life" in one})),
        lasted_s=(ended - begun) / 1e6,
        orphans=sum(name != names.SUBMIT and parent not in known for name, parent in parents),
    )
