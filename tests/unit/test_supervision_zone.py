"""A zone's owner when log, receipts and mailbox are not equally quick."""

from datetime import UTC, datetime
from typing import Any, TypeVar

from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.supervision.draining import TRIED_PER_STEP
from treeward.supervision.effects import Append, Effect, Submit
from treeward.supervision.limits import Limits
from treeward.supervision.zone_owner import ZoneOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
T = TypeVar("T", bound=Effect)
HOST = {"pod": "p1", "cpus": 8, "memory_mib": 4096}
VM = {"cpus": 2, "memory_mib": 512}


def event(type_: EventType, key: str, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    return Event.model_validate(
        {"type": type_, "zone": "zone-a", "kind": kind, "id": id_, "life": 1, "at": AT} | fields
    )


def unit(ticket: int, operation: str, spec: dict[str, Any] | None = None) -> Message:
    return Message(epoch=20, life=20, ticket=ticket, previous=0, operation=operation, spec=spec)


def effects(owner: ZoneOwner, kind: type[T]) -> list[T]:
    found: list[T] = [effect for effect in owner.effects if isinstance(effect, kind)]
    owner.effects = [effect for effect in owner.effects if not isinstance(effect, kind)]
    return found


def appended(owner: ZoneOwner) -> tuple[int, list[tuple[EventType, str]]]:
    appends = effects(owner, Append)
    return (appends[-1].token if appends else 0), [(a.events[0].type, a.events[0].key) for a in appends]


def owner_with_a_host(*, draining: bool = False) -> ZoneOwner:
    owner = ZoneOwner("zone-a", 20, Limits())
    owner.on_event(2, event(EventType.CLAIMED, "pod.p1", definition={}, draining=draining, answered=2), 0.0)
    owner.on_event(3, event(EventType.COMPLETED, "host.h1", definition=HOST, pod="p1", host="h1", answered=3), 0.0)
    owner.on_fold_complete()
    return owner


def test_what_was_placed_is_not_forgotten_because_an_older_word_is_read_late() -> None:
    owner = owner_with_a_host()
    owner.on_message("vm.web-1", unit(5, "stop"), 0.0)
    owner.on_fetched("vm.web-1", 0, None, 0.0)
    token, said = appended(owner)
    assert said == [(EventType.REJECTED, "vm.web-1")]
    owner.on_appended(token, 21, 0.0)
    owner.on_message("vm.web-1", unit(9, "create", VM), 0.0)
    token, said = appended(owner)
    assert said == [(EventType.PLACED, "vm.web-1")]
    owner.on_event(21, event(EventType.REJECTED, "vm.web-1", ticket=5, answered=5), 0.0)
    owner.on_appended(token, 22, 0.0)
    owner.on_work_first(9, 1.0)
    assert appended(owner) == (0, [])
    owner.on_event(22, event(EventType.PLACED, "vm.web-1", ticket=9, answered=5, pod="p1", host="h1"), 1.0)
    owner.on_event(23, event(EventType.FAILED, "vm.web-1", ticket=9, answered=9, removed=True), 1.0)
    owner.on_work_first(10, 2.0)
    assert appended(owner)[1] == [(EventType.FORGOTTEN, "vm.web-1")]


def test_what_waits_for_a_place_is_tried_again_when_a_pod_is_open_again() -> None:
    owner = owner_with_a_host(draining=True)
    owner.on_message("vm.web-1", unit(5, "create", VM), 0.0)
    owner.on_fetched("vm.web-1", 0, None, 0.0)
    owner.tick(0.1)
    assert appended(owner) == (0, [])
    owner.on_message("pod.p1", unit(6, "resume"), 0.0)
    owner.on_fetched("pod.p1", 2, event(EventType.CLAIMED, "pod.p1", definition={}, draining=True, answered=2), 0.0)
    assert appended(owner)[1] == [(EventType.COMPLETED, "pod.p1")]
    owner.tick(0.2)
    assert appended(owner)[1] == [(EventType.PLACED, "vm.web-1")]


def test_a_full_pod_is_emptied_a_slice_at_a_time_and_nobody_is_asked_twice() -> None:
    owner = owner_with_a_host(draining=True)
    owner.on_event(4, event(EventType.CLAIMED, "pod.p2", definition={}, answered=4), 0.0)
    room = {"pod": "p2", "cpus": 9999, "memory_mib": 1 << 30}
    owner.on_event(5, event(EventType.COMPLETED, "host.h9", definition=room, pod="p2", host="h9", answered=5), 0.0)
    keys = [f"vm.web-{number}" for number in range(3 * TRIED_PER_STEP)]
    for position, key in enumerate(keys, 30):
        host = f"h{position % 3}"
        if position < 33:
            owner.on_event(6 + position % 3, event(EventType.COMPLETED, f"host.{host}", definition=HOST, pod="p1"), 0.0)
        owner.on_event(position, event(EventType.COMPLETED, key, definition=VM, pod="p1", host=host), 0.0)
    asked: list[str] = []
    for now_s in range(1, 20):
        owner.tick(float(now_s))
        step = [unit.key for unit in effects(owner, Submit)]
        assert len(step) <= TRIED_PER_STEP
        asked += step
    assert sorted(asked) == sorted(keys)
    left = {"left": len(keys), "waiting": 0}
    assert owner.describe("pod.p1", 20.0)["draining"] == left
    owner.pods.zone_closed = True
    assert owner.describe("zone.zone-a", 20.0)["draining"] == left, "places that are kept for them are not in the way"
