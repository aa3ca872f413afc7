"""How long the log keeps what is said: all but `forgotten` for its age, and what zones and pods are for ever."""

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
