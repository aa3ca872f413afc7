"""Facts about one resource for the tests of what the API says of it: a vm in pod-1, all well unless said otherwise."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from treeward.orchestrator.api.facts import Branch, Claim, Facts, Last, OwnerSays, Presence
from treeward.orchestrator.describe import Held, QueueHeld, UnitHeld
from treeward.schemas.events import Event, EventType

NOW_S = 1_800_000_000.0
KEY = "vm.web-1"
PRESENT = Presence("present", "agent-1", 0.1, frozenset({("zone-a.pod-1", 40)}))
POD = Branch("zone-a.pod-1", Claim("agent-1-abc", 40, NOW_S - 60), PRESENT)
ZONE = Branch("zone-a", Claim("zs-1-abc", 3, NOW_S - 600), Presence("present", "zs-1", 0.1, frozenset({("zone-a", 3)})))


def event(type_: EventType = EventType.COMPLETED, **changes: Any) -> Event:
    fields: dict[str, Any] = {
        "type": type_, "zone": "zone-a", "kind": "vm", "id": "web-1", "life": 40, "answered": 10, "pod": "pod-1",
        "host": "h1", "definition": {"cpus": 1}, "ticket": 10, "at": datetime.fromtimestamp(NOW_S - 30, UTC),
    } | changes  # fmt: skip
    return Event(**fields)


def unit(ticket: int, **changes: Any) -> UnitHeld:
    fields: dict[str, Any] = {"ticket": ticket, "operation": "stop", "submitted_s": NOW_S - 20, "attempts_max": 5}
    return UnitHeld(**fields | changes)


def held(*units: UnitHeld, **changes: Any) -> Held:
    fields: dict[str, Any] = {
        "key": KEY, "pod": "pod-1", "epoch": 40, "position": 50, "due_s": NOW_S + 12, "units": list(units),
        "units_in_all": len(units),
    } | changes  # fmt: skip
    return Held(queues=[QueueHeld(**fields)], read_up_to=100, units_in_all=len(units))


def facts(*units: UnitHeld, last: Event | None = None, says: dict[str, Any] | None = None, **queue: Any) -> Facts:
    """A placed resource whose owner is there and has nothing of it in hand, unless said otherwise."""
    return Facts(
        zone="zone-a",
        key=KEY,
        now_s=NOW_S,
        last=Last(50, last or event(), NOW_S - 30),
        owner=POD,
        held=held(*units, **queue),
        says=OwnerSays(**{"epoch": 40} | (says or {})),
        owner_asked=True,
    )


def unplaced(*units: UnitHeld, says: dict[str, Any], last: Event | None = None) -> Facts:
    known = Last(50, last, NOW_S - 30) if last is not None else None
    base = facts(*units, says={"epoch": 3} | says, pod=None, epoch=3)
    return replace(base, last=known, owner=ZONE)


SENT = unit(12, sent=True)
