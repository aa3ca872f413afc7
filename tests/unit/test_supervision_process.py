"""A process of a pod through the corners of its life: long waits, moves that are interrupted, releases that cross."""

from datetime import UTC, datetime
from typing import TypeVar

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.supervision.effects import Append, Effect, Fetch, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner
from treeward.supervision.row import Phase

AT = datetime(2026, 1, 1, tzinfo=UTC)
T = TypeVar("T", bound=Effect)
KEY = "vm.web-1"
DEFINITION = {"cpus": 2, "memory_mib": 512}


def placed(*, host: str | None = "h1", key: str = KEY, existed: bool = False) -> Event:
    kind, _, id_ = key.partition(".")
    return Event(
        type=EventType.PLACED, zone="zone-a", kind=kind, id=id_, life=1, at=AT, pod="p1", host=host,
        definition=DEFINITION if existed else None, reserves=None if existed else DEFINITION, existed=existed,
    )  # fmt: skip


def unit(ticket: int, life: int, *, operation: str = "create", released: int = 0) -> Message:
    return Message(epoch=10, life=life, ticket=ticket, previous=0, operation=operation, released=released)


def effects(owner: PodOwner, kind: type[T]) -> list[T]:
    found: list[T] = [effect for effect in owner.effects if isinstance(effect, kind)]
    owner.effects = [effect for effect in owner.effects if not isinstance(effect, kind)]
    return found


def living(event: Event, position: int, *, ticket: int = 5, operation: str = "create") -> PodOwner:
    """An owner in epoch 10 that has just sent the first synchronize of a process with one unit."""
    owner = PodOwner("zone-a", "p1", 10, Limits())
    join(owner, event, position, ticket=ticket, operation=operation)
    return owner


def join(owner: PodOwner, event: Event, position: int, *, ticket: int, operation: str = "create") -> None:
    owner.on_message(event.key, unit(ticket, position, operation=operation), 0.0)
    assert effects(owner, Fetch)
    owner.on_fetched(event.key, position, event, 0.0)


def test_a_device_that_is_busy_for_a_day_is_asked_again_for_a_day() -> None:
    owner = living(placed(), 20)
    now_s = 0.0
    for _ in range(2_000):
        (asked,) = effects(owner, Synchronize)
        owner.on_answer(KEY, asked.token, Answer(seq=1, status=Status.UNREACHABLE), now_s)
        now_s += Limits().busy_retry_max_s
        owner.tick(now_s)
    assert effects(owner, Synchronize)


def test_what_is_to_be_made_here_is_made_by_whoever_owns_it_next() -> None:
    """The process of its new host crashes before the first synchronize, and then its pod is taken over."""
    owner = living(placed(existed=True), 20, operation="migrate")
    join(owner, placed(key="host.h1", host=None), 21, ticket=6)
    effects(owner, Synchronize)
    host, on_it = owner.rows["host.h1"], owner.rows[KEY]
    assert on_it.phase is Phase.SYNCHRONIZING
    owner.on_answer("host.h1", host.token, Answer(seq=1, status=Status.OK), 0.0)
    owner.on_answer("host.h1", host.token, Answer(seq=1, status=Status.FAILED), 0.0)
    crashed = [event for append in effects(owner, Append) for event in append.events if event.key == KEY]
    assert [event.type for event in crashed] == [EventType.CRASHED]

    successor = PodOwner("zone-a", "p1", 30, Limits())
    message = unit(5, 30, operation="migrate")
    message.epoch = 30
    successor.on_message(KEY, message, 1.0)
    successor.on_fetched(KEY, 25, crashed[0], 1.0)
    (asked,) = effects(successor, Synchronize)
    assert asked.definition == DEFINITION


def test_a_release_that_overtakes_the_receipt_of_the_quarantine_lets_it_out() -> None:
    limits = Limits(restarts_max=1)
    owner = PodOwner("zone-a", "p1", 10, limits)
    join(owner, placed(), 20, ticket=5)
    for life, now_s in ((30, 10.0), (31, 20.0)):
        (asked,) = effects(owner, Synchronize)
        owner.on_answer(KEY, asked.token, Answer(seq=1, status=Status.OK), now_s)
        effects(owner, Append)
        owner.on_answer(KEY, owner.rows[KEY].token, Answer(seq=1, status=Status.FAILED), now_s)
        (crash,) = effects(owner, Append)
        owner.on_appended(crash.token, life, now_s)
        owner.on_message(KEY, unit(5, life), now_s)
        owner.tick(now_s + 1.0)
    (quarantine,) = effects(owner, Append)
    assert quarantine.events[0].type is EventType.QUARANTINED
    owner.on_message(KEY, unit(5, 31, released=7), 22.0)
    owner.on_appended(quarantine.token, 32, 22.0)
    (release,) = effects(owner, Append)
    assert (release.events[0].type, release.events[0].released) == (EventType.RELEASED, 7)
    owner.on_appended(release.token, 33, 22.0)
    assert effects(owner, Synchronize)
