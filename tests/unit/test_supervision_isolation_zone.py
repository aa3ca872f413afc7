"""The zone's part of isolating: what was on an isolated host or in an isolated pod is brought elsewhere."""

from datetime import UTC, datetime
from typing import Any

from tests.support.owner_effects import said, take

from treeward.schemas.events import Event, EventType, Verdict
from treeward.schemas.mailbox import Message
from treeward.schemas.presence import Heartbeat, Holding
from treeward.supervision.children import Children
from treeward.supervision.effects import Submit, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner
from treeward.supervision.zone_owner import ZoneOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = 20
POD = "zone-a.pod-1"


def zone_with(event: dict[str, Any], unit: Message, key: str) -> Event:
    zone = ZoneOwner("zone-a", EPOCH, Limits())
    zone.on_message(key, unit, 0.0)
    take(zone)
    kind, _, id_ = key.partition(".")
    zone.on_fetched(key, 15, Event(zone="zone-a", kind=kind, id=id_, at=AT, life=11, answered=3, **event), 0.0)
    return said(take(zone))


def test_the_unit_in_doubt_is_answered_failed_maybe_started() -> None:
    unit = Message(epoch=EPOCH, life=EPOCH, ticket=5, previous=3, operation="stop")
    handed_off = {"type": EventType.HANDED_OFF, "ticket": 5, "last_unknown": True, "existed": True, "left": "host-1"}
    answered = zone_with(handed_off | {"definition": {"cpus": 1}}, unit, "vm.web-1")
    assert (answered.type, answered.ticket, answered.verdict) == (EventType.FAILED, 5, Verdict.MAYBE_STARTED)
    assert (answered.existed, answered.definition) == (True, {"cpus": 1})


def test_a_pod_is_isolated_by_a_persons_word() -> None:
    unit = Message(epoch=EPOCH, life=EPOCH, ticket=5, previous=3, operation="isolate", reason="its power is off")
    defined = {"type": EventType.COMPLETED, "ticket": 3, "definition": {"labels": {}}}
    event = zone_with(defined, unit, "pod.pod-1")
    assert (event.type, event.isolated, event.draining) == (EventType.COMPLETED, True, True)


def test_the_owner_of_a_pod_that_was_isolated_is_claimed_anew_once() -> None:
    children = Children(Limits(), 0.0)
    children.on_claimed(POD, "agent-1", 5, 0.0)
    beat = Heartbeat(service="pod-agent", instance="agent-1", name="agent-1", holds=[Holding(branch=POD, epoch=5)])
    children.on_heartbeat(beat, 1.0)
    assert children.decide(1.0) == []
    children.on_isolated(POD)
    assert [claim.reason for claim in children.decide(1.1)] == ["it was isolated"]
    children.on_claimed(POD, "agent-1", 6, 1.1, isolated=True)
    children.on_isolated(POD)
    assert children.decide(1.2) == []


def zone_with_an_isolated_host(vm: dict[str, Any]) -> ZoneOwner:
    """Host h1 is isolated, h2 has room; the last event of one VM."""
    zone = ZoneOwner("zone-a", EPOCH, Limits())
    spec = {"pod": "pod-1", "cpus": 8, "memory_mib": 4096}
    events: list[tuple[str, str, dict[str, Any]]] = [
        ("pod", "pod-1", {"type": EventType.CLAIMED, "definition": {}}),
        ("host", "h1", {"type": EventType.COMPLETED, "definition": spec, "pod": "pod-1", "isolated": True}),
        ("host", "h2", {"type": EventType.COMPLETED, "definition": spec, "pod": "pod-1"}),
        ("vm", "web-1", {"definition": {"cpus": 1, "memory_mib": 64}, "answered": 5, "ticket": 5} | vm),
    ]
    for position, (kind, id_, fields) in enumerate(events, 1):
        zone.on_event(position, Event(zone="zone-a", kind=kind, id=id_, at=AT, life=1, **fields), 0.0)
    zone.on_fold_complete()
    return zone


def submitted(zone: ZoneOwner, until_s: int, *, from_s: int = 1) -> list[tuple[str, str]]:
    """What the zone submits in that time."""
    for now_s in range(from_s, until_s):
        zone.tick(float(now_s))
    return [(effect.key, effect.body) for effect in take(zone) if isinstance(effect, Submit)]


def test_what_left_an_isolated_host_and_has_no_unit_any_more_is_brought_elsewhere() -> None:
    let_go: dict[str, Any] = {"type": EventType.FAILED, "existed": True, "left": "h1", "left_pod": "pod-1"}
    zone = zone_with_an_isolated_host(let_go)
    assert submitted(zone, 4) == [], "it may be on its way"
    ((key, body),) = submitted(zone, 30, from_s=4)
    assert (key, '"leave":"h1"' in body) == ("vm.web-1", True)
    unit = Message(epoch=EPOCH, life=EPOCH, ticket=6, previous=0, operation="migrate", spec={"leave": "h1"})
    placed = zone_with_an_isolated_host(let_go)
    placed.on_message("vm.web-1", unit, 0.0)
    event = Event(zone="zone-a", kind="vm", id="web-1", at=AT, life=1, answered=5, definition={"cpus": 1}, **let_go)
    placed.on_fetched("vm.web-1", 4, event, 0.0)
    assert (said(take(placed)).type, said_host(placed)) == (EventType.PLACED, "h2")


def said_host(zone: ZoneOwner) -> str | None:
    return zone.where.places.placed["vm.web-1"].host


def test_what_is_on_its_way_is_not_asked_to_move_again() -> None:
    zone = zone_with_an_isolated_host({"type": EventType.COMPLETED, "pod": "pod-1", "host": "h1"})
    assert len(submitted(zone, 10)) == 1
    left = Event(
        type=EventType.HANDED_OFF, zone="zone-a", kind="vm", id="web-1", at=AT, life=1, left="h1", left_pod="pod-1",
        to="h2", definition={"cpus": 1}, answered=5, ticket=6, operation="migrate", existed=True,
    )  # fmt: skip
    zone.on_event(9, left, 10.0)
    assert submitted(zone, 60) == []


def test_what_comes_back_to_the_host_that_it_was_let_go_of_pauses_before_it_is_let_go_again() -> None:
    """The log says that host h1 is open, its device says that it is isolated, and there is no other."""
    zone = zone_with_an_isolated_host({"type": EventType.COMPLETED, "pod": "pod-1", "host": "h1"})
    open_: dict[str, Any] = {"definition": {"pod": "pod-1", "cpus": 8, "memory_mib": 4096}, "pod": "pod-1"}
    for position, (id_, more) in enumerate((("h1", open_), ("h2", open_ | {"draining": True})), 10):
        event = Event(type=EventType.COMPLETED, zone="zone-a", kind="host", id=id_, at=AT, life=1, **more)
        zone.on_event(position, event, 0.0)
    unit = Message(epoch=EPOCH, life=EPOCH, ticket=6, previous=0, operation="stop")
    zone.on_message("vm.web-1", unit, 0.0)
    told: dict[str, Any] = {
        "left": "h1",
        "left_pod": "pod-1",
        "existed": True,
        "emptied": True,
        "ticket": 6,
        "answered": 5,
    }
    let_go = Event(
        type=EventType.HANDED_OFF, zone="zone-a", kind="vm", id="web-1", at=AT, life=1, definition={"cpus": 1}, **told
    )
    zone.on_fetched("vm.web-1", 20, let_go, 0.0)
    back = said(take(zone))
    assert (back.type, back.host, back.left) == (EventType.PLACED, "h1", "h1")
    pod = placed_there(back, unit)
    assert not [effect for effect in take(pod) if isinstance(effect, Synchronize)]
    pod.tick(pod.limits.busy_retry_max_s)
    (request,) = take(pod)
    assert isinstance(request, Synchronize)
    began_at_once = placed_there(back.model_copy(update={"left": None}), unit)
    assert not began_at_once.rows["vm.web-1"].not_before_s


def placed_there(placed: Event, unit: Message) -> PodOwner:
    """The owner of its pod has read that it is placed there, with its unit."""
    pod = PodOwner("zone-a", "pod-1", EPOCH, Limits())
    pod.on_message("vm.web-1", unit.model_copy(update={"life": 21}), 0.0)
    pod.on_fetched("vm.web-1", 21, placed, 0.0)
    return pod


def test_an_isolated_pod_is_emptied_and_destroyed_by_name_whatever_goes_first() -> None:
    """Its only host was destroyed with a VM on it: that is brought elsewhere, and then the pod can be destroyed."""
    zone = zone_with_an_isolated_host({"type": EventType.COMPLETED, "pod": "pod-1", "host": "h1"})
    events: list[tuple[str, str, dict[str, Any]]] = [
        ("pod", "pod-2", {"type": EventType.CLAIMED, "definition": {}}),
        ("pod", "pod-1", {"type": EventType.COMPLETED, "definition": {}, "isolated": True, "draining": True}),
        ("host", "h3", {"type": EventType.COMPLETED, "pod": "pod-2", "definition": {"cpus": 8, "memory_mib": 4096}}),
        ("host", "h1", {"type": EventType.COMPLETED, "removed": True}),
        ("host", "h2", {"type": EventType.COMPLETED, "removed": True}),
    ]
    for position, (kind, id_, fields) in enumerate(events, 10):
        zone.on_event(position, Event(zone="zone-a", kind=kind, id=id_, at=AT, life=1, **fields), 0.0)
    zone.pods.last["pod-1"].isolated = True
    assert zone.where.has_anything("pod-1"), "or the VM would be nobody's"
    ((key, body),) = submitted(zone, 10)
    assert (key, '"leave":"h1"' in body) == ("vm.web-1", True)
    told = zone.describe("pod.pod-1", 10.0)["draining"]
    assert isinstance(told, dict) and told["left"] == 1
    gone = Event(type=EventType.COMPLETED, zone="zone-a", kind="vm", id="web-1", at=AT, life=1, removed=True)
    zone.on_event(20, gone, 10.0)
    assert not zone.where.has_anything("pod-1")
