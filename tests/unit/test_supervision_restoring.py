"""What the owner of a zone does about what others have changed: it submits a restoration, once (ADR 11)."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.schemas.events import Drift, Event, EventType
from treeward.schemas.policies import OnDrift
from treeward.supervision.restoring import Restoring

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "vm.web-1"
DESIRED = {"cpus": 2.0, "running": True}


def drifted(policy: OnDrift, **said: Any) -> Event:
    drift = Drift(exists=False, since=AT, policy=policy, answered=5)
    fields: dict[str, Any] = {"type": EventType.DRIFTED, "life": 11, "answered": 5, "definition": DESIRED, "at": AT}
    fields["reason"] = "others have changed it"
    return Event(zone="zone-a", kind="vm", id="web-1", **(fields | {"drift": drift} | said))


def test_the_zones_owner_submits_a_restoration_once_for_each_difference() -> None:
    restoring = Restoring("zone-a")
    restoring.on_event(drifted(OnDrift.RESTORE))
    (unit,) = restoring.decide()
    assert unit.key == KEY
    spec = {"definition": DESIRED, "answered": 5}
    assert json.loads(unit.body) == {"operation": "restore", "spec": spec, "reason": "others have changed it"}
    assert restoring.decide() == []
    successor = Restoring("zone-a")
    successor.on_event(drifted(OnDrift.RESTORE))
    assert successor.decide() == [unit], "the same message id: within the duplicate window it is one unit"


@pytest.mark.parametrize("policy", [OnDrift.REPORT, OnDrift.ACCEPT])
def test_nothing_is_submitted_where_that_is_not_the_policy(policy: OnDrift) -> None:
    restoring = Restoring("zone-a")
    restoring.on_event(drifted(policy))
    assert restoring.decide() == []


def test_nothing_is_submitted_for_what_has_happened_to_since() -> None:
    restoring = Restoring("zone-a")
    restoring.on_event(drifted(OnDrift.RESTORE))
    restoring.on_event(drifted(OnDrift.RESTORE, type=EventType.FAILED, answered=6))
    assert restoring.decide() == []


def test_whoever_reads_only_what_came_after_it_was_found_asks_too_and_once() -> None:
    """The owner may be replaced between reading and asking, and `drifted` be followed by other events (seed 252)."""
    restoring, successor = Restoring("zone-a"), Restoring("zone-a")
    restoring.on_event(drifted(OnDrift.RESTORE))
    later = drifted(OnDrift.RESTORE, type=EventType.READY, life=12)
    assert later.drift is not None
    successor.on_event(later)
    assert [unit.message_id for unit in successor.decide()] == [unit.message_id for unit in restoring.decide()]
    successor.on_event(later)
    assert successor.decide() == []
    successor.on_event(later.model_copy(update={"drift": None, "answered": 6}))
    successor.on_event(drifted(OnDrift.RESTORE, answered=6, drift=later.drift.model_copy(update={"answered": 6})))
    assert len(successor.decide()) == 1, "changed again"
