"""An event as it is appended: how long the log keeps it (only `forgotten` vanishes), and what of it is written."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.bus.interface import Draft
from treeward.runtime import codec
from treeward.schemas.events import Event, EventType


def draft(type_: EventType, kind: str = "vm", **fields: Any) -> Draft:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    event = Event(type=type_, zone="zone-a", kind=kind, id="one", life=1, at=at, **fields)
    return codec.draft_of(event, instance="agent-1", trace=None)


@pytest.mark.parametrize("type_", list(EventType))
@pytest.mark.parametrize("removed", [False, True])
def test_only_forgotten_vanishes_before_its_time(type_: EventType, removed: bool) -> None:
    """A `removed` that vanished would leave the `placed` before it as the last word (PROTOCOL H6)."""
    headers = draft(type_, removed=removed).headers or {}
    assert ("Nats-TTL" in headers, "KV-Operation" in headers) == (type_ is EventType.FORGOTTEN,) * 2


@pytest.mark.parametrize(("kind", "for_ever"), [("zone", True), ("pod", True), ("host", False), ("vm", False)])
def test_claims_and_all_else_that_is_said_of_zones_and_pods_never_expire(kind: str, for_ever: bool) -> None:
    assert [draft(type_, kind).never_expires for type_ in (EventType.CLAIMED, EventType.COMPLETED)] == [for_ever] * 2


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"answered": 7, "ticket": 7, "pod": "pod-1", "definition": {"cpus": 0}, "policies": {}, "flushed": [8, 9]},
        {"removed": True, "paused": True, "attempts": 1, "released": 3, "existed": True, "draining": True},
    ],
)
def test_a_reader_has_back_all_of_an_event_though_defaults_are_not_written(fields: dict[str, Any]) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    event = Event(type=EventType.COMPLETED, zone="zone-a", kind="vm", id="one", life=0, at=at, **fields)
    data = codec.draft_of(event, instance="agent-1", trace=None).data
    assert codec.event_of(data) == event
    assert set(json.loads(data)) == {"type", "zone", "kind", "id", "life", "at", *fields}
