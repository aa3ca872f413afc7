"""What a takeover reads at a lower price leaves the owner of a zone with what the whole of it would have."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from treeward.runtime import codec
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.standing import Standing
from treeward.supervision.limits import Limits
from treeward.supervision.who_is_where import WhoIsWhere
from treeward.supervision.zone_owner import ZoneOwner

EPOCH, NOW_S = 5, 1e9
NAMES = some.sampled_from(("a", "b"))
HOSTS = some.sampled_from(("h1", "h2"))
DEFINITIONS = some.none() | some.sampled_from(
    (
        {},
        {"cpus": 1.5, "memory_mib": 512},
        {"cpus": True, "memory_mib": "much", "requires": {"disk": "fast"}, "spread": "x"},
        {"cpus": 1, "size_gib": 3, "anti_affinity": {"group": "g", "domain": "pod"}, "requires": []},
        {"pod": "p1", "cpus": 64, "memory_mib": 65536, "labels": {"disk": "fast"}},
    )
)
DRIFTS = some.none() | some.sampled_from(("report", "accept", "restore")).map(
    lambda policy: {"exists": True, "since": "2026-01-01T00:00:00Z", "policy": policy, "answered": 1}
)
SAID = {
    "type": some.sampled_from(EventType),
    "kind": some.sampled_from(("vm", "vm", "vm", "volume", "host", "pod")),
    "id": NAMES,
    "life": some.integers(1, 9),
    "answered": some.integers(0, 2),
}
ALSO_SAID = {
    "pod": some.none() | some.sampled_from(("p1", "p2")),
    "host": some.none() | HOSTS,
    "definition": DEFINITIONS,
    "reserves": DEFINITIONS,
    "ticket": some.integers(1, 3),
    "operation": some.sampled_from(("create", "migrate", "destroy")),
    "left": HOSTS,
    "left_pod": some.sampled_from(("p1", "p2")),
    "to": HOSTS,
    "drift": DRIFTS,
    "reason": some.none() | some.just("it is so"),
} | {name: some.booleans() for name, field in Event.model_fields.items() if field.default is False}
EVENTS = some.fixed_dictionaries(SAID, optional=ALSO_SAID).map(
    lambda said: Event.model_validate({"zone": "zone-a", "at": datetime(2026, 1, 1, tzinfo=UTC)} | said)
)
STANDING = some.builds(
    lambda event, pod, host, definition: event.model_copy(
        update={"pod": pod, "host": host, "definition": definition, "removed": False, "drift": None}
    ),
    EVENTS, some.sampled_from(("p1", "p2")), HOSTS, DEFINITIONS,
)  # fmt: skip
STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("entry"), EVENTS),
        some.tuples(some.just("entry"), STANDING),
        some.tuples(some.just("entry"), STANDING),
        some.tuples(some.just("unit"), NAMES, some.integers(1, 4)),
        some.tuples(some.just("fetched"), EVENTS, some.integers(-2, 2)),
    ),
    max_size=25,
)


def unit(ticket: int) -> Message:
    return Message(epoch=EPOCH, life=EPOCH, ticket=ticket, previous=0, operation="create", spec={"cpus": 1})


def after(steps: list[tuple[object, ...]], *, whole: bool) -> ZoneOwner:
    """The owner that has read all that, from bytes as a zone supervisor does."""
    owner = ZoneOwner("zone-a", EPOCH, Limits())
    for position, (what, *arguments) in enumerate(steps, EPOCH + 1):
        match what, arguments:
            case "entry", [Event() as event]:
                data = codec.draft_of(event, instance="agent", trace=None).data
                standing = None if whole else codec.standing_of(data)
                taken = standing is not None and owner.on_standing(position, standing)
                if not taken and event.kind != "pod":
                    owner.on_event(position, event, NOW_S)
            case "unit", [str() as name, int() as ticket]:
                owner.on_message(f"vm.{name}", unit(ticket), NOW_S)
            case "fetched", [Event() as event, int() as later]:
                owner.on_fetched(event.key, position + later, event, NOW_S)
    return owner


def told(owner: ZoneOwner) -> object:
    """All that can be seen of an owner: its book, what it says of each address, and what it does from now on."""
    owner.on_fold_complete()
    owner.tick(NOW_S + 1)
    owner.on_work_first(3, NOW_S + 1)
    keys = [f"{kind}.{name}" for kind in ("vm", "volume", "host") for name in ("a", "b")]
    places = owner.where.places
    book = places.hosts, places.placed, places.on_host, places.early, places.spread, places.pod_used
    return book, vars(places.members), owner.effects, [owner.describe(key, NOW_S + 1) for key in keys]


def said(type_: str, id_: str = "a", kind: str = "vm", **also: Any) -> tuple[str, Event]:
    return "entry", Event(
        zone="zone-a", at=datetime(2026, 1, 1, tzinfo=UTC), type=EventType(type_), kind=kind, id=id_, life=1, **also
    )


HERE: dict[str, Any] = {"pod": "p1", "host": "h1"}
THERE: dict[str, Any] = {"pod": "p1", "host": "h2"}
MADE: dict[str, Any] = {"definition": {"cpus": 1}}
DRIFTED: dict[str, Any] = {"drift": {"exists": True, "since": "2026-01-01T00:00:00Z", "policy": "restore"}}
NEXT_HOST = said("completed", "h2", "host", **THERE, definition={"pod": "p1", "cpus": 8})
RARE: dict[str, list[Any]] = {
    "read again while its restoration is to be asked for": [
        said("drifted", **HERE, **MADE, **DRIFTED), said("completed", **HERE, **MADE)
    ],
    "to be restored, and not drifted just now": [said("completed", **HERE, **MADE, **DRIFTED)],
    "a place was kept for it, and it stays": [
        NEXT_HOST, said("leaving", **HERE, **MADE, to="h2"), said("completed", **HERE, **MADE)
    ],
    "leaving": [NEXT_HOST, said("leaving", **HERE, **MADE, to="h2")],
    "somebody waits for its event": [
        ("unit", "a", 2),
        said("completed", **HERE, **MADE),
        ("fetched", said("completed", removed=True)[1], -2),
    ],
    "somebody waits for it to come back": [
        ("unit", "a", 2), ("fetched", said("ready", **HERE, **MADE)[1], 0),
        said("completed", **HERE, **MADE), said("completed", removed=True),
    ],
    "an older one was fetched later": [
        said("completed", **HERE, **MADE), ("unit", "a", 2), ("fetched", said("completed", removed=True)[1], -2)
    ],
    "gone, and made again": [said("completed", removed=True, answered=2), said("completed", **HERE, **MADE)],
}  # fmt: skip


@pytest.mark.parametrize("rare", RARE)
def test_of_what_is_rare_nothing_is_left_out_either(rare: str) -> None:
    assert told(after(RARE[rare], whole=False)) == told(after(RARE[rare], whole=True))


def test_what_was_fetched_ahead_is_not_undone_by_an_older_one() -> None:
    where = WhoIsWhere()
    _, there = said("completed", **THERE, **MADE)
    _, here = said("completed", **HERE, **MADE)
    where.on_fetched(9, there)
    standing = codec.standing_of(here.model_dump_json().encode())
    assert standing is not None
    assert where.on_standing(8, "vm.a", standing)
    assert where.places.placed["vm.a"].host == "h2"


@settings(max_examples=300)
@given(STEPS)
def test_what_is_read_at_a_lower_price_leaves_nothing_out(steps: list[tuple[object, ...]]) -> None:
    assert told(after(steps, whole=False)) == told(after(steps, whole=True))


@given(STANDING)
def test_what_stands_where_it_is_is_read_at_a_lower_price(event: Event) -> None:
    """Else a takeover of a million would cost what it always did."""
    standing = codec.standing_of(codec.draft_of(event, instance="agent", trace=None).data)
    moves = event.type in (EventType.LEAVING, EventType.HANDED_OFF, EventType.CLAIMED, EventType.FORGOTTEN)
    assert (standing is not None) == (not moves and event.type is not EventType.DRIFTED)
    if standing is not None:
        said = {name: getattr(event, name) for name in Standing.model_fields}
        assert standing.model_dump() == said
