"""What was moved and its new device refuses to make goes elsewhere, step by step (ADR 15)."""

from typing import Any

import pytest
from tests.support.one_vm import KEY, PLACED, Owner, message, said

from treeward.schemas.device import Status
from treeward.schemas.events import EventType
from treeward.schemas.places import PlaceSaid
from treeward.supervision.effects import Append, AskPlace, Call, Effect, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_log import TRIED_MAX

DEFINITION = {"cpus": 2, "memory_mib": 512}
FULL = "its pool is full"
RESTARTS_MAX = 2
"""Of the owner that `one_vm` makes."""
LONGEST_S = Limits().backoff_s_max


class Arrived(Owner):
    """A VM that existed on another device was placed on host-1 for ticket 5, which is in hand."""

    def __init__(self, **event: Any) -> None:
        super().__init__(**{"existed": True, "definition": DEFINITION, "moved": 5, **event})

    def begin(self, **unit: Any) -> Synchronize:
        (asked,) = self.send(message(5, "migrate", **unit))
        return of_device(asked)

    def refuse(self, asked: Effect, **fields: Any) -> list[Effect]:
        """The device accepts the life and makes nothing."""
        return self.answer(asked, Status.FAILED, reason=FULL, high=PLACED, **fields)

    def wait(self) -> tuple[float, list[Effect]]:
        """Until it does something by itself; how long that took."""
        began_s = self.now_s
        while not (effects := self.take()):
            self.now_s += 0.05
            self.fold.tick(self.now_s)
            assert self.now_s - began_s <= LONGEST_S + 0.1, "it waits for ever"
        return self.now_s - began_s, effects

    def refuse_all(self, **fields: Any) -> AskPlace:
        """The device refuses as often as it may; what is asked of the zone's owner then."""
        asked = self.begin()
        for _ in range(RESTARTS_MAX):
            assert self.refuse(asked, **fields) == []
            _, (again,) = self.wait()
            asked = of_device(again)
        (place,) = self.refuse(asked, **fields)
        assert isinstance(place, AskPlace)
        return place


def of_device(effect: Effect) -> Synchronize:
    assert isinstance(effect, Synchronize)
    assert (effect.definition, effect.absent, effect.life) == (DEFINITION, False, PLACED)
    return effect


def test_a_device_that_refuses_once_or_twice_is_asked_again_after_longer_and_longer() -> None:
    owner = Arrived()
    asked = owner.begin()
    waits_s: list[float] = []
    for _ in range(RESTARTS_MAX):
        assert owner.refuse(asked) == []
        told = owner.fold.describe(KEY, owner.now_s)
        assert (told["phase"], told["reason"], told["refusals"]) == ("initialized", FULL, len(waits_s) + 1)
        waited_s, (again,) = owner.wait()
        waits_s.append(waited_s)
        asked = of_device(again)
    assert waits_s == sorted(set(waits_s))
    (ready,) = owner.answer(asked, Status.OK, exists=True, definition=DEFINITION)
    assert (said(ready).type, said(ready).existed) == (EventType.READY, False)


def test_one_refusal_more_than_restarts_are_allowed_and_it_goes_elsewhere() -> None:
    owner = Arrived()
    place = owner.refuse_all(last=4, last_applied=True)
    assert (place.asked.leaves, place.asked.host, place.asked.definition) == ("host-1", None, DEFINITION)
    leaving = owner.place(place, host="host-2", empties=True)
    assert (said(leaving).type, said(leaving).existed, said(leaving).to) == (EventType.LEAVING, True, "host-2")
    (emptied,) = owner.store(leaving)
    assert isinstance(emptied, Synchronize) and emptied.absent
    (handed_off,) = owner.answer(emptied, Status.OK, exists=False, last=4, last_applied=True)
    event = said(handed_off)
    assert (event.type, event.existed, event.emptied, event.definition) == (
        EventType.HANDED_OFF, True, True, DEFINITION,
    )  # fmt: skip
    assert (event.left, event.to, event.tried, event.answered) == ("host-1", "host-2", ("host-1",), 3)
    assert event.last is not None and event.last.ticket == 4
    assert event.reason is not None and FULL in event.reason and "host-1" in event.reason
    assert owner.store(handed_off) == []
    assert owner.fold.describe(KEY, owner.now_s)["phase"] == "absent"


def test_nothing_is_let_go_before_the_device_that_refused_holds_nothing_of_it() -> None:
    """A late copy of the request to make it would otherwise make it there after it has gone elsewhere."""
    owner = Arrived()
    (emptied,) = owner.store(owner.place(owner.refuse_all(), host="host-2", empties=True))
    assert owner.answer(emptied, Status.UNREACHABLE, reason="no answer") == []
    for _ in range(3):
        _, (again,) = owner.wait()
        assert isinstance(again, Synchronize) and again.absent
        assert owner.answer(again, Status.OK, exists=True) == []
    _, (again,) = owner.wait()
    (handed_off,) = owner.answer(again, Status.OK, exists=False)
    assert said(handed_off).type == EventType.HANDED_OFF


def test_a_device_that_is_silent_while_it_is_emptied_is_asked_to_again_and_never_to_make_it() -> None:
    owner = Arrived()
    (emptied,) = owner.store(owner.place(owner.refuse_all(), host="host-2", empties=True))
    owner.now_s += Limits().call_timeout_s
    for _ in range(5):  # the first tick after so long finds that it was held up itself
        owner.fold.tick(owner.now_s)
        owner.now_s += 0.5
    again = next(effect for effect in owner.take() if isinstance(effect, Synchronize))
    assert isinstance(emptied, Synchronize)
    assert isinstance(emptied, Synchronize)
    assert again.absent
    assert again.token != emptied.token


def test_what_stays_with_its_device_is_not_taken_off_it() -> None:
    """The device has it on another host: only the move to this one was refused."""
    owner = Arrived()
    handed_off = said(owner.place(owner.refuse_all(exists=True), host="host-2", empties=False))
    assert (handed_off.type, handed_off.existed, handed_off.emptied) == (EventType.HANDED_OFF, True, False)
    assert handed_off.tried == ("host-1",)


def test_who_finds_no_place_stays_says_why_and_asks_anew_after_longer_and_longer() -> None:
    owner = Arrived()
    place = owner.refuse_all()
    none = "no host has room for it now, other than host-1; it stays where it is"
    waits_s = []
    for _ in range(3):
        owner.fold.on_place(KEY, place.token, PlaceSaid(reason=none), owner.now_s)
        assert owner.take() == []
        told = owner.fold.describe(KEY, owner.now_s)
        assert (told["phase"], told["refusal"], told["reason"]) == ("initialized", FULL, none)
        waited_s, (again,) = owner.wait()
        waits_s.append(waited_s)
        (asked,) = owner.refuse(of_device(again))
        assert isinstance(asked, AskPlace), "its device was asked once more"
        place = asked
    assert waits_s == sorted(set(waits_s))


def test_where_all_were_tried_it_goes_to_one_of_them_again_after_the_longest_pause() -> None:
    owner = Arrived(tried=("host-3", "host-2"))
    place = owner.refuse_all()
    assert place.asked.tried == ("host-3", "host-2")
    owner.fold.on_place(KEY, place.token, PlaceSaid(host="host-2", empties=True, again=True), owner.now_s)
    assert owner.take() == []
    told = owner.fold.describe(KEY, owner.now_s)
    assert (told["refusal"], told["reason"]) == (FULL, "all others that have room were tried; host host-2 is next")
    waited_s, (leaving,) = owner.wait()
    assert waited_s >= LONGEST_S / 2
    assert (said(leaving).to, said(leaving).tried) == ("host-2", ("host-3", "host-2"))
    (emptied,) = owner.store(leaving)
    (handed_off,) = owner.answer(emptied, Status.OK, exists=False)
    assert said(handed_off).tried == ("host-3", "host-1"), "it begins anew, and knows where it came from"


def test_what_is_made_at_last_is_answered_and_forgets_who_was_tried() -> None:
    owner = Arrived(tried=("host-3", "host-2"))
    asked = owner.begin()
    owner.refuse(asked)
    _, (again,) = owner.wait()
    (ready,) = owner.answer(again, Status.OK, exists=True, definition=DEFINITION)
    assert said(ready).existed is False
    (answer,) = owner.store(ready)
    assert (said(answer).type, said(answer).tried) == (EventType.COMPLETED, ())
    owner.store(answer)
    assert owner.fold.rows[KEY].tried == ()


def test_a_migrate_that_ends_where_it_began_has_failed() -> None:
    owner = Arrived(tried=("host-1", "host-2"))
    (ready,) = owner.answer(owner.begin(), Status.OK, exists=True, definition=DEFINITION)
    (answer,) = owner.store(ready)
    assert said(answer).type == EventType.FAILED
    assert said(answer).reason == "it is back on host-1: host-2 would not make it"


def test_the_next_owner_knows_where_it_has_been() -> None:
    owner = Arrived(tried=("host-3", "host-2"))
    leaving = owner.place(owner.refuse_all(), host="host-4", empties=True)
    owner.store(leaving)
    after = Arrived(**said(leaving).model_dump(include={"type", "tried", "existed", "definition", "moved", "life"}))
    assert after.refuse_all().asked.tried == ("host-3", "host-2")


def test_where_it_has_been_is_bounded_and_the_first_stays() -> None:
    owner = Arrived(tried=("host-0", *(f"host-{number}" for number in range(100, 130))))
    handed_off = said(owner.place(owner.refuse_all(), host="host-2", empties=False))
    assert len(handed_off.tried) == TRIED_MAX
    assert (handed_off.tried[0], *handed_off.tried[-2:]) == ("host-0", "host-129", "host-1")


def test_a_place_that_nobody_gives_is_asked_for_again() -> None:
    owner = Arrived()
    place = owner.refuse_all()
    owner.fold.on_place(KEY, place.token, None, owner.now_s)
    _, (again,) = owner.wait()
    assert isinstance(again, AskPlace) and again.asked == place.asked


@pytest.mark.parametrize("unmakeable", [{}, {"existed": False, "definition": None, "moved": 0}])
def test_a_device_that_cannot_be_reached_has_refused_nothing(unmakeable: dict[str, Any]) -> None:
    """It may have made it, and nobody can empty it: it waits for the device, or for `isolate`."""
    owner = Arrived(**unmakeable)
    (asked,) = owner.send(message(5, "migrate"))
    for _ in range(2 * RESTARTS_MAX + 2):
        assert isinstance(asked, Synchronize)
        assert owner.answer(asked, Status.UNREACHABLE, reason="no answer") == []
        _, (asked,) = owner.wait()
    assert not isinstance(asked, AskPlace)
    assert owner.fold.describe(KEY, owner.now_s)["refusals"] == 0


def test_a_life_that_has_called_is_not_let_go_for_a_refusal() -> None:
    """What is here already is looked at again in its life: that the device fails then says nothing of making it."""
    owner = Arrived(type=EventType.COMPLETED, existed=False, life=PLACED)
    call = owner.synchronized(message(5, "start", life=PLACED))
    assert isinstance(call, Call)
    (outcome,) = owner.answer(call, Status.APPLIED, exists=True, definition=DEFINITION, last=5, last_applied=True)
    assert isinstance(outcome, Append)
    owner.store(outcome)
    assert owner.fold.rows[KEY].make is False
    assert owner.fold.describe(KEY, owner.now_s)["refusals"] == 0
