"""What the owner of a pod does about a device that others have changed, as sentences of the specification (ADR 11)."""

from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.policies import OnDrift
from treeward.supervision.drift import standing_drift
from treeward.supervision.effects import Abandon, Append, Call, Effect, Fetch, Observe, Synchronize
from treeward.supervision.gone import Gone
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH, PLACED, COMPLETED = 10, 11, 15
KEY = "vm.web-1"
DESIRED = {"cpus": 2.0, "running": True}
CHANGED = {"cpus": 2.0, "running": False}


class Pod:
    """An owner with one VM, whose `create` (ticket 5) was completed; nothing of it is in memory."""

    def __init__(self, **event: Any) -> None:
        self.now_s = 100.0
        self.position = COMPLETED
        self.fold = PodOwner("zone-a", "pod-1", EPOCH, Limits(call_timeout_s=5.0))
        said: dict[str, Any] = {"type": EventType.COMPLETED, "life": PLACED, "pod": "pod-1", "host": "host-1"}
        said |= {"answered": 5, "ticket": 5, "operation": "create", "definition": DESIRED, "at": AT}
        self.last = Event(zone="zone-a", kind="vm", id="web-1", **(said | event))
        self.device: dict[str, Any] = {"last": 5, "begun": 5, "last_applied": True}
        self.device |= {"exists": True, "definition": DESIRED}

    def changed(self, definition: dict[str, Any] | None) -> "Pod":
        """Others change what the device has, or take it away."""
        self.device |= {"exists": definition is not None, "definition": definition}
        return self

    def effects(self) -> list[Effect]:
        taken, self.fold.effects = self.fold.effects, []
        return taken

    def answer(self, request: Effect, status: Status = Status.OK, **said: Any) -> None:
        assert isinstance(request, Observe | Synchronize | Call)
        answer = Answer(seq=1, status=status, **(self.device | said))
        self.fold.on_answer(KEY, request.token, answer, self.now_s)

    def look(self) -> list[Event]:
        """The background synchronization comes by, and everybody answers. Returns what was appended."""
        self.fold.drift.look(KEY)
        return self.settle()

    def send(self, ticket: int, operation: str = "pause", **said: Any) -> None:
        fields: dict[str, Any] = {"epoch": EPOCH, "life": PLACED, "ticket": ticket, "previous": 0}
        self.fold.on_message(KEY, Message(**fields, operation=operation, **said), self.now_s)

    def settle(self) -> list[Event]:
        """Log and device answer whatever is asked; a call is applied, and changes nothing more than is said."""
        said: list[Event] = []
        while effects := self.effects():
            for effect in effects:
                match effect:
                    case Fetch():
                        self.fold.on_fetched(KEY, self.position, self.last, self.now_s)
                    case Observe() | Synchronize():
                        self.answer(effect)
                    case Call(message=unit):
                        self.device |= {"last": unit.ticket, "begun": unit.ticket, "last_applied": True}
                        self.answer(effect, Status.APPLIED)
                    case Append(events=events, token=token):
                        self.position += 1
                        self.last = events[-1]
                        said.append(self.last)
                        self.fold.on_appended(token, self.position, self.now_s)
        return said


def test_a_device_that_agrees_is_only_observed() -> None:
    pod = Pod()
    pod.fold.drift.look(KEY)
    (fetch,) = pod.effects()
    assert isinstance(fetch, Fetch)
    pod.fold.on_fetched(KEY, pod.position, pod.last, pod.now_s)
    (observe,) = pod.effects()
    assert isinstance(observe, Observe)
    pod.answer(observe)
    assert pod.effects() == []
    assert pod.fold.rows == {}, "nothing is kept of what is in order"


def test_what_looks_different_is_judged_in_a_life_that_the_device_has_accepted() -> None:
    pod = Pod().changed(CHANGED)
    pod.fold.drift.look(KEY)
    pod.effects()
    pod.fold.on_fetched(KEY, pod.position, pod.last, pod.now_s)
    (observe,) = pod.effects()
    pod.answer(observe)
    (fetch,) = pod.effects()
    assert isinstance(fetch, Fetch)
    pod.fold.on_fetched(KEY, pod.position, pod.last, pod.now_s)
    (synchronize,) = pod.effects()
    assert isinstance(synchronize, Synchronize) and synchronize.life == PLACED and not synchronize.absent
    pod.changed(DESIRED).answer(synchronize)
    assert [event.type for event in pod.settle()] == [EventType.READY], "it was in order again by then"


@pytest.mark.parametrize("definition", [CHANGED, None])
def test_a_difference_is_said_once_and_what_is_desired_stays(definition: dict[str, Any] | None) -> None:
    pod = Pod().changed(definition)
    ready, drifted = pod.look()
    assert (ready.type, drifted.type) == (EventType.READY, EventType.DRIFTED)
    assert drifted.drift is not None
    assert (drifted.drift.exists, drifted.drift.definition) == (definition is not None, definition)
    assert (drifted.definition, drifted.answered, drifted.removed) == (DESIRED, 5, False)
    assert drifted.pod == "pod-1" and drifted.drift.policy is OnDrift.REPORT
    assert pod.look() == []


def test_when_the_device_agrees_again_that_is_said() -> None:
    pod = Pod().changed(CHANGED)
    pod.look()
    pod.changed(DESIRED)
    (said,) = pod.look()
    assert (said.type, said.drift, said.definition) == (EventType.DRIFTED, None, DESIRED)


@pytest.mark.parametrize(
    "said",
    [
        {"type": EventType.CRASHED, "answered": 4},
        {"type": EventType.LEAVING, "existed": True, "ticket": None},
        {"quarantined": True},
        {"definition": None},
        {"pod": "pod-2"},
    ],
)
def test_nothing_is_asked_of_what_is_in_hand_in_doubt_moving_or_elsewhere(said: dict[str, Any]) -> None:
    pod = Pod(**said).changed(CHANGED)
    pod.fold.drift.look(KEY)
    pod.effects()
    pod.fold.on_fetched(KEY, pod.position, pod.last, pod.now_s)
    assert pod.effects() == []


@pytest.mark.parametrize("said", [{"begun": 6}, {"last": 6, "begun": 6}])
def test_a_ticket_that_is_not_answered_yet_explains_any_difference(said: dict[str, Any]) -> None:
    pod = Pod().changed(CHANGED)
    pod.device |= said
    assert pod.look() == []


def test_a_look_holds_up_no_unit() -> None:
    pod = Pod()
    pod.fold.drift.look(KEY)
    pod.effects()
    pod.fold.on_fetched(KEY, pod.position, pod.last, pod.now_s)
    (observe,) = pod.effects()
    pod.send(7)
    assert [event.type for event in pod.settle()] == [EventType.READY, EventType.COMPLETED]
    pod.changed(CHANGED).answer(observe)
    assert pod.settle()[-1].drift is not None, "the row is idle again: what was seen is looked at in its life"


def test_what_was_observed_while_a_unit_is_in_hand_is_void() -> None:
    pod = Pod()
    pod.fold.drift.look(KEY)
    pod.effects()
    pod.fold.on_fetched(KEY, pod.position, pod.last, pod.now_s)
    (observe,) = pod.effects()
    pod.send(7, "stop")
    pod.effects()
    pod.changed(CHANGED).answer(observe)
    assert pod.effects() == []


def test_a_device_that_does_not_tell_is_left_alone_until_the_next_round() -> None:
    pod = Pod()
    pod.fold.drift.look(KEY)
    pod.effects()
    pod.fold.on_fetched(KEY, pod.position, pod.last, pod.now_s)
    (observe,) = pod.effects()
    assert isinstance(observe, Observe)
    pod.now_s += 6.0
    pod.fold.tick(pod.now_s)
    assert pod.effects() == [Abandon(observe.token)]
    assert pod.fold.drift.looks == 0


@pytest.mark.parametrize("status", [Status.BUSY, Status.UNREACHABLE, Status.FAILED])
def test_a_device_that_does_not_accept_the_life_of_a_suspect_is_not_asked_again_and_again(status: Status) -> None:
    pod = Pod().changed(CHANGED)
    pod.fold.drift.look(KEY)
    asked = 0
    for _ in range(9):
        for effect in pod.effects():
            match effect:
                case Fetch():
                    pod.fold.on_fetched(KEY, pod.position, pod.last, pod.now_s)
                case Synchronize():
                    asked += 1
                    pod.answer(effect, status, isolated=status is Status.UNREACHABLE)
                case Observe():
                    pod.answer(effect)
        pod.now_s += 3.0
        pod.fold.tick(pod.now_s)
    assert asked == 1


# --- with a unit in hand ---------------------------------------------------------------------------------------------


def test_a_unit_that_finds_its_device_changed_says_so_and_goes_on() -> None:
    pod = Pod().changed(CHANGED)
    pod.send(7, "pause")
    ready, drifted, completed = pod.settle()
    assert (ready.type, drifted.type, completed.type) == (EventType.READY, EventType.DRIFTED, EventType.COMPLETED)
    assert drifted.drift is not None and drifted.drift.policy is OnDrift.REPORT
    assert completed.drift == drifted.drift and completed.definition == DESIRED, "steering mends nothing"


def test_what_a_unit_makes_of_a_changed_object_is_desired_from_then_on() -> None:
    pod = Pod().changed(CHANGED)
    pod.look()
    pod.send(7, "start")
    completed = pod.settle()[-1]
    assert (completed.type, completed.drift, completed.definition) == (EventType.COMPLETED, None, CHANGED)


def test_a_refusal_changes_nothing_of_what_is_desired() -> None:
    pod = Pod().changed(CHANGED)
    pod.look()
    pod.send(7, "stop")
    (call,) = pod.effects()
    pod.device |= {"last": 7, "begun": 7, "last_applied": False}
    pod.answer(call, Status.REFUSED, reason="it is so already")
    failed = pod.settle()[-1]
    assert (failed.type, failed.definition) == (EventType.FAILED, DESIRED)
    assert failed.drift is not None


def test_steering_does_not_give_up_the_place_of_what_others_took_away() -> None:
    pod = Pod().changed(None)
    pod.look()
    pod.send(7, "configure", spec={"on_drift": "restore"})
    completed = pod.settle()[-1]
    assert (completed.removed, completed.pod, completed.definition) == (False, "pod-1", DESIRED)


def test_what_others_took_away_is_gone_once_a_unit_was_refused_because_of_it() -> None:
    pod = Pod().changed(None)
    pod.look()
    pod.send(7, "destroy")
    (call,) = pod.effects()
    pod.device |= {"last": 7, "begun": 7, "last_applied": False}
    pod.answer(call, Status.REFUSED, reason="does not exist")
    failed = pod.settle()[-1]
    assert (failed.type, failed.removed, failed.drift) == (EventType.FAILED, True, None)


def test_a_successor_knows_of_the_difference_from_the_last_event() -> None:
    pod = Pod().changed(CHANGED)
    drifted = pod.look()[-1]
    successor = Pod().changed(CHANGED)
    successor.last = drifted
    assert [event.type for event in successor.look()] == [EventType.READY], "it was said before"
    successor.send(7)
    assert successor.settle()[-1].drift == drifted.drift


# --- policies --------------------------------------------------------------------------------------------------------


def test_accepting_makes_what_the_device_reports_desired() -> None:
    pod = Pod(policies={"on_drift": "accept"}).changed(CHANGED)
    said = pod.look()[-1]
    assert (said.type, said.definition) == (EventType.DRIFTED, CHANGED)
    assert said.drift is not None and said.drift.policy is OnDrift.ACCEPT
    assert pod.look() == []
    pod.send(7)
    assert pod.settle()[-1].drift is None


def test_accepting_that_something_is_gone_gives_its_address_back() -> None:
    pod = Pod(policies={"on_drift": "accept"}).changed(None)
    said = pod.look()[-1]
    assert (said.type, said.removed, said.pod, said.host, said.definition) == (
        EventType.DRIFTED,
        True,
        None,
        None,
        None,
    )
    assert said.answered == 5
    assert pod.fold.rows == {}


def test_before_an_address_is_given_back_its_device_is_told_to_hold_nothing() -> None:
    """Else a late copy of the request that made it in this very life would bring it back."""
    pod = Pod(policies={"on_drift": "accept"}).changed(None)
    pod.fold.drift.look(KEY)
    synchronizes: list[bool] = []
    while effects := pod.effects():
        for effect in effects:
            match effect:
                case Fetch():
                    pod.fold.on_fetched(KEY, pod.position, pod.last, pod.now_s)
                case Observe():
                    pod.answer(effect)
                case Synchronize(absent=absent, life=life):
                    synchronizes.append(absent)
                    assert life == PLACED
                    pod.answer(effect)
                case Append(events=events) if events[-1].removed:
                    assert synchronizes == [False, True]
                    return
    raise AssertionError("it was not given back")


def test_what_was_accepted_is_no_difference_any_more() -> None:
    accepted = Pod(policies={"on_drift": "accept"}).changed(CHANGED).look()[-1]
    assert standing_drift(accepted) is None
    successor = Pod().changed(CHANGED)
    successor.last = accepted
    successor.send(7)
    assert [event.drift for event in successor.settle()] == [None, None]


def test_a_unit_that_waits_comes_before_any_policy() -> None:
    pod = Pod(policies={"on_drift": "accept"}).changed(None)
    pod.send(7)
    said = pod.settle()
    assert [event.type for event in said] == [EventType.READY, EventType.DRIFTED, EventType.COMPLETED]
    assert said[1].drift is not None and said[1].drift.policy is OnDrift.REPORT
    assert not any(event.removed for event in said)


def test_the_policy_of_the_pod_holds_for_what_says_nothing_itself() -> None:
    pod = Pod().changed(CHANGED)
    pod.fold.policies.pod = {"on_drift": "restore"}
    said = pod.look()[-1]
    assert said.drift is not None and said.drift.policy is OnDrift.RESTORE
    assert said.definition == DESIRED


def test_a_restoration_is_asked_for_again_once_the_last_one_was_answered() -> None:
    pod = Pod(policies={"on_drift": "restore"}).changed(CHANGED)
    first = pod.look()[-1]
    assert pod.look() == [], "one is under way"
    pod.send(7, "restore", spec={"definition": DESIRED, "answered": 5})
    (call,) = pod.effects()
    pod.device |= {"last": 7, "begun": 7, "last_applied": False}
    pod.answer(call, Status.REFUSED, reason="there is no room")
    assert pod.settle()[-1].definition == DESIRED
    again = pod.look()[-1]
    assert first.drift is not None and again.drift is not None
    assert (first.drift.answered, again.drift.answered) == (5, 7)
    assert again.drift.since == first.drift.since


def test_a_restoration_of_what_is_gone_that_is_refused_keeps_the_place() -> None:
    pod = Pod(policies={"on_drift": "restore"}).changed(None)
    pod.look()
    pod.send(7, "restore", spec={"definition": DESIRED, "answered": 5})
    (call,) = pod.effects()
    pod.device |= {"last": 7, "begun": 7, "last_applied": False}
    pod.answer(call, Status.REFUSED, reason="there is no room")
    failed = pod.settle()[-1]
    assert (failed.removed, failed.pod, failed.definition) == (False, "pod-1", DESIRED)


def test_a_restoration_is_a_call_like_any_other() -> None:
    pod = Pod(policies={"on_drift": "restore"}).changed(None)
    pod.look()
    pod.send(7, "restore", spec={"definition": DESIRED, "answered": 5})
    (call,) = pod.effects()
    assert isinstance(call, Call) and call.message.spec == {"definition": DESIRED, "answered": 5}
    pod.changed(DESIRED)
    pod.device |= {"last": 7, "begun": 7}
    pod.answer(call, Status.APPLIED)
    completed = pod.settle()[-1]
    assert (completed.type, completed.drift, completed.definition) == (EventType.COMPLETED, None, DESIRED)


def test_a_restoration_that_comes_after_something_else_was_answered_does_nothing() -> None:
    pod = Pod(policies={"on_drift": "restore"}).changed(CHANGED)
    pod.look()
    pod.send(7, "start")
    pod.settle()
    pod.send(8, "restore", spec={"definition": DESIRED, "answered": 5})
    said = pod.settle()[-1]
    assert (said.type, said.ticket) == (EventType.SUPERSEDED, 8)


def test_what_was_accepted_to_be_gone_is_forgotten_in_time() -> None:
    gone = Gone()
    gone.on_event(Pod(policies={"on_drift": "accept"}).changed(None).look()[-1])
    assert gone.below(5) == []
    assert gone.below(6) == [(KEY, 5)]
