"""Which place something gets that came by a hand-off, and which are kept: of hosts that were isolated or tried."""

from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.standing import Standing
from treeward.supervision.effects import Append, Submit
from treeward.supervision.limits import Limits
from treeward.supervision.need import Demand, Need
from treeward.supervision.places import Placed
from treeward.supervision.who_is_where import WhoIsWhere, is_reservation
from treeward.supervision.zone_owner import ZoneOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = 100
KEY = "vm.web-1"
DEFINITION = {"cpus": 1, "memory_mib": 64}


def event(key: str, type_: EventType = EventType.COMPLETED, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    return Event(zone="zone-a", kind=kind, id=id_, at=AT, type=type_, **({"life": 1} | fields))


class Zone:
    """Hosts in one pod, each with the room for one VM; what differs of a host or of the pod is said by name."""

    def __init__(self, pod: dict[str, Any] | None = None, **hosts: dict[str, Any]) -> None:
        self.owner = ZoneOwner("zone-a", EPOCH, Limits())
        self.position = 0
        self.read(event("pod.pod-1", definition={}, **(pod or {})))
        for name, fields in hosts.items():
            host = {"pod": "pod-1", "cpus": 1, "memory_mib": 64}
            self.read(event(f"host.{name}", definition=host, pod="pod-1", host=name, **fields))
        self.owner.on_fold_complete()

    def read(self, said: Event) -> None:
        self.position += 1
        self.owner.on_event(self.position, said, 0.0)

    def said(self) -> list[Event]:
        """What it appends."""
        effects, self.owner.effects = self.owner.effects, []
        return [each for effect in effects if isinstance(effect, Append) for each in effect.events]

    def send(self, last: Event, ticket: int, operation: str, **fields: Any) -> list[Event]:
        """A unit comes for what was handed off with these words."""
        self.read(last)
        told: dict[str, Any] = {"epoch": EPOCH, "life": EPOCH, "previous": 0} | fields
        self.owner.on_message(KEY, Message(ticket=ticket, operation=operation, **told), 0.0)
        self.owner.on_fetched(KEY, self.position, last, 0.0)
        return self.said()


def handed_off(left: str, **fields: Any) -> Event:
    told = {"existed": True, "definition": DEFINITION, "left": left, "left_pod": "pod-1", "answered": 4, "ticket": 5}
    return event(KEY, EventType.HANDED_OFF, **(told | {"emptied": True} | fields))


def test_where_a_move_has_been_is_forgotten_with_its_unit() -> None:
    """Else its next move would take the first host that it finds there for the one that it left."""
    came: dict[str, Any] = {"moved": 5, "tried": ("h1", "h2"), "last_unknown": True}
    zone = Zone(h1={}, h2={"isolated": True, "draining": True})
    (failed,) = zone.send(handed_off("h2", **came), 5, "start")
    assert (failed.type, failed.tried) == (EventType.FAILED, ("h1", "h2"))
    successor = Zone(h1={}, h2={"isolated": True, "draining": True})
    (placed,) = successor.send(failed, 6, "migrate", previous=5, spec={"leave": "h2"})
    assert (placed.type, placed.host, placed.tried, placed.moved) == (EventType.PLACED, "h1", (), 6)


def test_a_host_that_an_earlier_unit_has_tried_can_be_named_again() -> None:
    zone = Zone(h1={}, h2={}, h3={"isolated": True, "draining": True})
    came = handed_off("h3", answered=5, ticket=6, moved=5, tried=("h1", "h2"))
    (placed,) = zone.send(came, 7, "migrate", spec={"host": "h2"})
    assert (placed.host, placed.reason) == ("h2", None)


@pytest.mark.parametrize(
    ("pod", "host", "back"),
    [
        ({}, {"draining": True}, True),
        ({}, {"draining": True, "isolated": True}, False),
        ({"isolated": True}, {}, False),
    ],
    ids=["the host is drained", "the host is isolated", "the pod is isolated"],
)
def test_what_fits_nowhere_goes_back_where_it_was_unless_that_is_isolated(
    pod: dict[str, Any], host: dict[str, Any], *, back: bool
) -> None:
    zone = Zone(pod, h1=host)
    assert [each.host for each in zone.send(handed_off("h1"), 5, "migrate")] == (["h1"] if back else [])


def test_the_place_that_was_kept_for_a_move_is_given_back_when_it_is_read_that_it_stands_somewhere() -> None:
    where = WhoIsWhere()
    where.places.define_host("h1", "pod-1", {"cpus": 4, "memory_mib": 4096})
    where.reserve(KEY, Placed("pod-1", "h1", Need(Demand(1000, 64)), leaving=True), 0.0)
    placed = event(KEY, EventType.PLACED, pod="pod-1", host="h2", definition=DEFINITION)
    if not where.on_standing(7, KEY, Standing.model_validate(placed.model_dump())):
        where.on_event(7, placed)
    assert where.places.placed[KEY].host == "h2"
    assert where.reserved_for(KEY) is None


def test_a_place_that_is_kept_on_a_closed_host_is_not_asked_to_move() -> None:
    zone = Zone(h1={"draining": True}, h2={})
    zone.owner.where.reserve(KEY, Placed("pod-1", "h1", Need(Demand(1000, 64)), leaving=True), 1e9)
    for now_s in range(60):
        zone.owner.tick(float(now_s))
    submitted = [effect.key for effect in zone.owner.effects if isinstance(effect, Submit)]
    assert [key for key in submitted if is_reservation(key)] == []
    assert zone.owner.where.reserved_for(KEY) == "h1"
