"""What leaves a device, step by step, and what is said meanwhile for whoever comes next (PROTOCOL S7, S8, ADR 8)."""

from typing import Any

from tests.support.one_vm import PLACED, Owner, message, said

from treeward.schemas.device import Status
from treeward.schemas.events import Event, EventType
from treeward.supervision.effects import Append, AskPlace, Call, Effect, Synchronize

MIGRATE: dict[str, Any] = {"operation": "migrate", "spec": {}}


def asking() -> tuple[Owner, Effect]:
    owner = Owner(definition={"cpus": 1})
    return owner, owner.synchronized(message(**MIGRATE), last=4, last_applied=True)


def events(effects: list[Effect]) -> list[Event]:
    return [event for effect in effects if isinstance(effect, Append) for event in effect.events]


def test_nothing_is_let_go_before_it_has_a_place() -> None:
    owner, asked = asking()
    assert isinstance(asked, AskPlace)
    assert owner.fold.rows
    refused = said(owner.place(asked, reason="no host has room"))
    assert (refused.type, refused.pod) == (EventType.FAILED, "pod-1")


def test_before_it_is_taken_off_its_device_the_log_says_so_and_that_it_is_to_be_made_again() -> None:
    """Whoever owns it next, if its owner dies now, makes it again here or there: it may be on neither device."""
    owner, asked = asking()
    leaving = said(owner.place(asked, host="host-2", empties=True))
    assert (leaving.type, leaving.existed, leaving.definition, leaving.to) == (EventType.LEAVING, True, {}, "host-2")
    assert (leaving.pod, leaving.answered) == ("pod-1", 3)


def test_it_is_handed_off_only_when_its_old_device_has_said_that_it_holds_nothing_of_it() -> None:
    owner, asked = asking()
    (emptying,) = owner.store(owner.place(asked, host="host-2", empties=True))
    assert isinstance(emptying, Synchronize)
    assert emptying.absent
    assert events(owner.answer(emptying, Status.OK, exists=True, definition={})) == []
    owner.now_s += 60.0
    owner.fold.tick(owner.now_s)
    again = owner.take()[-1]
    (event,) = events(owner.answer(again, Status.OK, exists=False))
    assert (event.type, event.emptied, event.existed, event.pod) == (EventType.HANDED_OFF, True, True, None)


def test_what_was_made_here_is_not_to_be_made_again() -> None:
    owner = Owner(existed=True, definition={"cpus": 1})
    (synchronize,) = owner.send(message())
    effects = owner.answer(synchronize, Status.OK, exists=True, definition={"cpus": 1})
    assert (said(effects[0]).type, said(effects[0]).existed) == (EventType.READY, False)
    assert isinstance([*effects, *owner.store(effects[0])][-1], Call)


def test_a_process_that_was_quarantined_stays_so_with_its_next_owner_until_a_later_release() -> None:
    owner = Owner(type=EventType.QUARANTINED, quarantined=True, released=4, life=PLACED)
    assert owner.send(message(released=4)) == []
    assert owner.send(message(released=4)) == []
    (append,) = owner.send(message(released=6))
    assert (said(append).type, said(append).released) == (EventType.RELEASED, 6)


def test_what_is_said_of_a_process_says_all_that_was_said_of_it_before() -> None:
    kept: dict[str, Any] = {"paused": True, "draining": True, "released": 2, "moved": 1, "policies": {"order": "fifo"}}
    owner = Owner(**kept)
    (synchronize,) = owner.send(message())
    ready = said(owner.answer(synchronize, Status.OK, exists=True, definition={})[0])
    assert {name: getattr(ready, name) for name in kept} == kept
    assert (ready.answered, ready.pod, ready.host, ready.definition) == (3, "pod-1", "host-1", {})
