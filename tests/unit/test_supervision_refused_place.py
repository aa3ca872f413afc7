"""Where what a device refused to make goes next, and that the room it gives up is given back once (ADR 15)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.places import PlaceAsked, PlaceSaid
from treeward.supervision.effects import Append
from treeward.supervision.limits import Limits
from treeward.supervision.zone_owner import ZoneOwner

EPOCH = 100
KEY, TICKET = "vm.web-1", 5
DEFINITION = {"cpus": 2, "memory_mib": 16}
OTHERS = {"cpus": 1, "memory_mib": 16}


def event(key: str, type_: EventType, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    at = datetime(2026, 1, 1, tzinfo=UTC)
    return Event(type=type_, zone="zone-a", kind=kind, id=id_, at=at, **({"life": 1} | fields))


class Zone:
    """Hosts with two CPUs each, every one in a pod with a device of its own; what is placed on them is read first."""

    def __init__(self, *hosts: str, **placed: tuple[str, dict[str, Any]]) -> None:
        self.owner = ZoneOwner("zone-a", EPOCH, Limits())
        self.position = 0
        for host in hosts:
            pod = {"device": f"tcp://{host}:1"}
            self.read(event(f"pod.pod-{host}", EventType.COMPLETED, definition=pod))
            definition = {"pod": f"pod-{host}", "cpus": 2, "memory_mib": 1024}
            where = {"pod": f"pod-{host}", "host": host}
            self.read(event(f"host.{host}", EventType.COMPLETED, definition=definition, **where))
        for name, (host, spec) in placed.items():
            where = {"pod": f"pod-{host}", "host": host}
            self.read(event(f"vm.{name}", EventType.COMPLETED, definition=spec, answered=1, ticket=1, **where))
        self.position = EPOCH
        self.owner.on_fold_complete()
        self.owner.effects.clear()

    def read(self, said: Event) -> int:
        self.position += 1
        self.owner.on_event(self.position, said, 0.0)
        return self.position

    def ask(self, leaves: str, *tried: str) -> PlaceSaid:
        asked = PlaceAsked(key=KEY, ticket=TICKET, leaves=leaves, definition=DEFINITION, tried=tried)
        return self.owner.find_place(asked, 0.0)

    def hand_off(self, left: str, to: str | None, *tried: str, **unit: Any) -> Event:
        """It is handed off, the unit that moves it comes here, and where it is placed is stored and read."""
        where = {"left": left, "left_pod": f"pod-{left}", "to": to, "tried": tried}
        told = {"existed": True, "emptied": True, "definition": DEFINITION, "answered": 4, "ticket": TICKET}
        handed_off = event(KEY, EventType.HANDED_OFF, moved=TICKET, **where, **told)
        position = self.read(handed_off)
        said: dict[str, Any] = {
            "epoch": EPOCH,
            "life": EPOCH,
            "ticket": TICKET,
            "previous": 0,
            "operation": "migrate",
        } | unit
        self.owner.on_message(KEY, Message(**said), 0.0)
        self.owner.on_fetched(KEY, position, handed_off, 0.0)
        append = self.owner.effects.pop()
        assert isinstance(append, Append)
        (placed,) = append.events
        self.owner.on_appended(append.token, self.read(placed), 0.0)
        self.owner.effects.clear()
        return placed

    def used(self) -> dict[str, int]:
        """CPUs that are given away."""
        return {name: host.used.cpu_milli // 1000 for name, host in self.owner.where.places.hosts.items()}


def test_who_has_refused_is_only_named_when_nothing_else_fits() -> None:
    zone = Zone("h1", "h2", "h3", web_1=("h2", DEFINITION))
    zone.read(event(KEY, EventType.PLACED, existed=True, definition=DEFINITION, pod="pod-h2", host="h2"))
    said = zone.ask("h2", "h1")
    assert (said.host, said.again, said.empties) == ("h3", False, True)
    said = zone.ask("h2", "h1", "h3")
    assert (said.host in ("h1", "h3"), said.again) == (True, True)


def test_where_only_its_own_host_would_do_there_is_no_place() -> None:
    zone = Zone("h1", "h2", full=("h1", OTHERS))
    zone.read(event(KEY, EventType.PLACED, existed=True, definition=DEFINITION, pod="pod-h2", host="h2"))
    said = zone.ask("h2", "h1")
    assert (said.host, said.again) == (None, False)
    assert said.reason == "no host has room for 2 cpus, 16 MiB now, other than h2; it stays where it is"


@pytest.mark.parametrize("kept", [None, "h3"], ids=["the place was lost", "the place was kept"])
def test_it_goes_to_one_that_was_not_tried_and_says_on_where_it_has_been(kept: str | None) -> None:
    zone = Zone("h1", "h2", "h3")
    placed = zone.hand_off("h2", kept, "h1", "h2")
    assert (placed.host, placed.existed, placed.tried, placed.moved) == ("h3", True, ("h1", "h2"), TICKET)


def test_not_even_the_host_that_was_asked_for_is_tried_twice() -> None:
    zone = Zone("h1", "h2", "h3")
    placed = zone.hand_off("h2", None, "h1", "h2", spec={"host": "h2"})
    assert (placed.host, placed.reason) == ("h3", "host h2 could not take it")


def test_it_goes_back_to_one_that_was_tried_before_it_goes_straight_back() -> None:
    zone = Zone("h1", "h2", "h3", full=("h3", OTHERS))
    assert zone.hand_off("h2", None, "h1", "h2").host == "h1"


def test_where_nothing_fits_it_is_where_it_was_and_has_moved_all_the_same() -> None:
    """Its unit has been carried out or not where it then is: it does not begin to move from there again."""
    zone = Zone("h1", "h2", full=("h1", OTHERS))
    placed = zone.hand_off("h2", None, "h1", "h2")
    assert (placed.host, placed.moved) == ("h2", TICKET)


def test_the_room_that_is_given_up_is_given_back_once() -> None:
    """Until it is placed elsewhere it has both places; what is read again, or later of before, changes nothing."""
    zone = Zone("h1", "h2", "h3", web_2=("h1", OTHERS))
    zone.read(event(KEY, EventType.PLACED, existed=True, definition=DEFINITION, pod="pod-h2", host="h2"))
    assert zone.used() == {"h1": 1, "h2": 2, "h3": 0}
    assert zone.ask("h2", "h1").host == "h3"
    assert zone.used() == {"h1": 1, "h2": 2, "h3": 2}
    before = zone.position
    told = {"existed": True, "definition": DEFINITION, "to": "h3", "tried": ("h1", "h2")}
    zone.read(event(KEY, EventType.LEAVING, pod="pod-h2", host="h2", **told))
    zone.read(event(KEY, EventType.HANDED_OFF, left="h2", left_pod="pod-h2", **told))
    assert zone.used() == {"h1": 1, "h2": 2, "h3": 2}
    assert zone.hand_off("h2", "h3", "h1", "h2").host == "h3"
    after = {"h1": 1, "h2": 0, "h3": 2}
    assert zone.used() == after
    zone.owner.on_event(before, event(KEY, EventType.LEAVING, pod="pod-h2", host="h2", **told), 0.0)
    assert zone.used() == after
    for type_ in (EventType.READY, EventType.COMPLETED):
        zone.read(event(KEY, type_, definition=DEFINITION, answered=TICKET, pod="pod-h3", host="h3"))
        assert zone.used() == after
    zone.read(event(KEY, EventType.COMPLETED, answered=TICKET + 1, removed=True))
    assert zone.used() == {"h1": 1, "h2": 0, "h3": 0}
