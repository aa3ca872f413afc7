"""Isolating: the owner of a pod gives up a host that cannot be reached, and lets go of what was there."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.owner_effects import said, take

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import DeviceOutcome, Event, EventType, Outcome, Verdict
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.effects import Append, Call, Effect, Fetch, Observe, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = 20
HOST = "host.host-1"


def sent(owner: PodOwner, key: str, operation: str, **event: Any) -> list[Effect]:
    """Ticket 5 arrives for a resource that was completed up to ticket 3, in a life of its pod's present owner."""
    kind, _, id_ = key.partition(".")
    unit = Message(epoch=EPOCH, life=EPOCH, ticket=5, previous=3, operation=operation, mark=event.pop("mark", None))
    owner.on_message(key, unit, 0.0)
    last: dict[str, Any] = {"type": EventType.COMPLETED, "life": 11, "pod": "pod-1", "host": "host-1", "answered": 3}
    last |= {"definition": {"cpus": 1}} | event
    owner.on_fetched(key, 15, Event(zone="zone-a", kind=kind, id=id_, at=AT, **last), 0.0)
    return [effect for effect in take(owner) if isinstance(effect, Append | Call | Synchronize)]


def owner(*, isolated: bool = False) -> PodOwner:
    return PodOwner("zone-a", "pod-1", EPOCH, Limits(), isolated=isolated)


def told_that_its_host_is_isolated(**answer: Any) -> Event:
    pod = owner()
    (request,) = sent(pod, "vm.web-1", "stop")
    assert isinstance(request, Synchronize)
    fields: dict[str, Any] = {"exists": True, "definition": {"cpus": 1}} | answer
    pod.on_answer("vm.web-1", request.token, Answer(seq=1, status=Status.UNREACHABLE, isolated=True, **fields), 0.0)
    return said(take(pod))


def test_what_is_in_an_isolated_pod_is_let_go_without_its_device_and_its_unit_is_in_doubt() -> None:
    event = said(sent(owner(isolated=True), "vm.web-1", "stop"))
    assert (event.type, event.last_unknown, event.existed) == (EventType.HANDED_OFF, True, True)
    assert (event.ticket, event.definition, event.left) == (5, {"cpus": 1}, "host-1")


def test_a_mark_does_not_make_certain_what_nobody_knows() -> None:
    mark = Mark(outcome=Outcome.CANCELLED, reason="too late")
    assert said(sent(owner(isolated=True), "vm.web-1", "stop", mark=mark)).last_unknown


@pytest.mark.parametrize("operation", ["migrate", "pause", "cancel"])
def test_a_unit_that_no_device_is_called_for_is_never_in_doubt(operation: str) -> None:
    event = said(sent(owner(isolated=True), "vm.web-1", operation))
    assert (event.type, event.last_unknown) == (EventType.HANDED_OFF, False)


def test_a_host_of_an_isolated_pod_goes_nowhere() -> None:
    event = said(sent(owner(isolated=True), HOST, "resize"))
    assert (event.type, event.removed, event.verdict) == (EventType.FAILED, False, Verdict.MAYBE_STARTED)


@pytest.mark.parametrize("key", ["host.host-1", "vm.web-1"])
def test_what_is_in_an_isolated_pod_can_be_destroyed_without_its_device(key: str) -> None:
    event = said(sent(owner(isolated=True), key, "destroy", isolated=True, draining=True))
    assert (event.type, event.removed, event.definition) == (EventType.COMPLETED, True, None)
    assert (event.pod, event.isolated, event.draining) == (None, False, False)
    assert event.reason == "pod pod-1 is isolated: what is left of it there never acts again"


def test_a_cancelled_destroy_in_an_isolated_pod_is_in_doubt_like_any_other_unit() -> None:
    mark = Mark(outcome=Outcome.CANCELLED, reason="too late")
    assert said(sent(owner(isolated=True), "vm.web-1", "destroy", mark=mark)).last_unknown
    event = said(sent(owner(isolated=True), HOST, "destroy", mark=mark))
    assert (event.type, event.removed, event.verdict) == (EventType.FAILED, False, Verdict.MAYBE_STARTED)


def test_behind_an_isolated_host_nobody_knows_unless_the_record_is_kept_elsewhere() -> None:
    assert told_that_its_host_is_isolated(high=11, last=5, begun=5).last_unknown  # an old record of a lower life
    kept = told_that_its_host_is_isolated(high=EPOCH, last=5, last_applied=True, begun=5)
    assert (kept.last_unknown, kept.last) == (False, DeviceOutcome(ticket=5, applied=True))
    assert told_that_its_host_is_isolated(high=EPOCH, last=3, begun=5).last_unknown  # begun, and broken off
    assert not told_that_its_host_is_isolated(high=EPOCH, last=3, begun=3).last_unknown  # never begun


THERE: dict[str, Any] = {"exists": True, "definition": {"cpus": 1}}


def isolating(pod: PodOwner, status: Status | None, **answer: Any) -> list[Effect]:
    """Ticket 5 asks for isolation; what follows when the device answers the synchronize so (None: not at all)."""
    mark = answer.pop("mark", None)
    (request,) = sent(pod, HOST, "isolate", mark=mark)
    assert isinstance(request, Synchronize)
    if status is None:
        pod.tick(31.0)
    else:
        pod.on_answer(HOST, request.token, Answer(seq=1, status=status, **answer), 0.0)
    return [effect for effect in take(pod) if isinstance(effect, Append | Call | Synchronize)]


def called(effects: list[Effect]) -> Call:
    (call,) = (effect for effect in effects if isinstance(effect, Call))
    return call


@pytest.mark.parametrize(
    ("status", "high"), [(Status.OK, EPOCH), (Status.UNREACHABLE, EPOCH), (Status.UNREACHABLE, 11), (None, 0)]
)
def test_a_host_is_isolated_by_a_call_whether_it_can_be_reached_itself_or_not(status: Status | None, high: int) -> None:
    pod = owner()
    call = called(isolating(pod, status, high=high, **THERE))
    assert (call.key, call.life, call.message.operation, call.message.ticket) == (HOST, EPOCH, "isolate", 5)
    pod.on_answer(HOST, call.token, Answer(seq=2, status=Status.APPLIED, last=5, isolated=True), 40.0)
    event = said(take(pod))
    assert (event.type, event.isolated, event.draining, event.removed) == (EventType.COMPLETED, True, True, False)
    assert event.definition == {"cpus": 1}, "what exists is not learned from a host that nobody reaches"


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"status": Status.REFUSED, "reason": "no such operation"}, "no such operation"),
        ({"status": Status.APPLIED, "isolated": False}, "it does not say that it did"),
    ],
)
def test_a_device_that_cannot_isolate_says_so(answer: dict[str, Any], why: str) -> None:
    pod = owner()
    call = called(isolating(pod, Status.OK, **THERE))
    pod.on_answer(HOST, call.token, Answer(seq=2, last=5, **answer), 0.0)
    event = said(take(pod))
    assert (event.type, event.isolated, event.removed) == (EventType.FAILED, False, False)
    assert event.reason == f"its device cannot isolate it: {why}"


@pytest.mark.parametrize("status", [Status.OK, Status.UNREACHABLE])
def test_an_isolation_that_was_carried_out_is_completed_whatever_was_said_of_it_since(status: Status) -> None:
    """The device has fenced the host for ticket 5, and the agent died before it could say so: then came a `cancel`."""
    mark = Mark(outcome=Outcome.CANCELLED, reason="changed my mind")
    remembered = {"high": EPOCH, "last": 5, "last_applied": True, "begun": 5, "isolated": True}
    effects = isolating(owner(), status, mark=mark, **THERE, **remembered)
    (event,) = (event for one in effects if isinstance(one, Append) for event in one.events if event.is_outcome)
    assert (event.type, event.isolated, event.draining) == (EventType.COMPLETED, True, True)


@pytest.mark.parametrize("status", [Status.OK, Status.UNREACHABLE])
def test_an_isolation_that_was_not_carried_out_can_be_cancelled(status: Status) -> None:
    mark = Mark(outcome=Outcome.CANCELLED, reason="changed my mind")
    effects = isolating(owner(), status, mark=mark, **THERE, high=EPOCH, last=3, begun=3)
    (event,) = (event for one in effects if isinstance(one, Append) for event in one.events if event.is_outcome)
    assert (event.type, event.isolated, event.verdict) == (EventType.CANCELLED, False, Verdict.NOT_STARTED)


@pytest.mark.parametrize(("status", "high"), [(Status.UNREACHABLE, 11), (None, 0)])
def test_a_cancelled_isolation_of_which_the_device_tells_nothing_stays_in_doubt(
    status: Status | None, high: int
) -> None:
    mark = Mark(outcome=Outcome.CANCELLED, reason="changed my mind")
    effects = isolating(owner(), status, mark=mark, high=high)
    assert not [effect for effect in effects if isinstance(effect, Append | Call)]


def test_an_isolation_without_an_answer_is_asked_about_in_the_next_life() -> None:
    pod = owner()
    called(isolating(pod, Status.OK, **THERE))
    pod.tick(31.0)
    event = said(take(pod))
    assert (event.type, event.ticket, event.verdict) == (EventType.CRASHED, 5, Verdict.MAYBE_STARTED)


def test_what_was_isolated_is_not_resumed() -> None:
    pod = owner()
    (request,) = sent(pod, "host.host-1", "resume", isolated=True, draining=True)
    assert isinstance(request, Synchronize)
    answer = Answer(seq=1, status=Status.OK, high=EPOCH, exists=True, definition={"cpus": 1})
    pod.on_answer("host.host-1", request.token, answer, 0.0)
    outcome = [
        event for event in (each.events[0] for each in take(pod) if isinstance(each, Append)) if event.is_outcome
    ]
    assert [(event.type, event.draining) for event in outcome] == [(EventType.FAILED, True)]


def test_a_host_that_was_isolated_is_made_again_as_a_new_one() -> None:
    pod = owner()
    (request,) = sent(pod, "host.host-1", "destroy", isolated=True, draining=True)
    assert isinstance(request, Synchronize)
    pod.on_answer("host.host-1", request.token, Answer(seq=1, status=Status.OK, exists=True, definition={}), 0.0)
    call = take(pod)[-1]
    assert isinstance(call, Call)
    pod.on_answer("host.host-1", call.token, Answer(seq=2, status=Status.APPLIED, last=5, last_applied=True), 0.0)
    event = said(take(pod))
    assert (event.type, event.removed, event.isolated, event.draining) == (EventType.COMPLETED, True, False, False)


def host_event(**fields: Any) -> Event:
    told: dict[str, Any] = {"type": EventType.COMPLETED, "pod": "pod-1", "host": "host-1", "answered": 3, "ticket": 3}
    told |= {"definition": {"cpus": 1}} | fields
    return Event(zone="zone-a", kind="host", id="host-1", at=AT, life=11, **told)


def looked_at(pod: PodOwner, **event: Any) -> list[Effect]:
    """Something on the host is told to be fenced; the host is looked after, and found isolated."""
    (request,) = sent(pod, "vm.web-1", "stop")
    assert isinstance(request, Synchronize)
    pod.on_answer("vm.web-1", request.token, Answer(seq=1, status=Status.UNREACHABLE, isolated=True), 0.0)
    (fetch,) = (effect for effect in take(pod) if isinstance(effect, Fetch))
    pod.on_fetched(fetch.key, 16, host_event(**event), 0.0)
    (look,) = take(pod)
    assert (fetch.key, isinstance(look, Observe)) == (HOST, True)
    assert isinstance(look, Observe)
    pod.on_answer(HOST, look.token, Answer(seq=2, status=Status.UNREACHABLE, isolated=True, **THERE), 0.0)
    return take(pod)


@pytest.mark.parametrize("status", [Status.OK, Status.UNREACHABLE])
def test_a_host_that_its_device_has_isolated_is_closed_in_the_log_as_well(status: Status) -> None:
    pod = owner()
    (fetch,) = looked_at(pod)
    assert isinstance(fetch, Fetch)
    pod.on_fetched(HOST, 16, host_event(), 0.0)
    (request,) = take(pod)
    assert isinstance(request, Synchronize)
    pod.on_answer(HOST, request.token, Answer(seq=3, status=status, high=EPOCH, isolated=True, **THERE), 0.0)
    events = [event for effect in take(pod) if isinstance(effect, Append) for event in effect.events]
    found = events[0]
    assert (found.type, found.isolated, found.draining) == (EventType.DRIFTED, True, True)
    assert found.reason == "its device has isolated it, although no unit of work has asked for that"
    assert (found.definition, found.removed, found.drift) == ({"cpus": 1}, False, None)
    assert not [event for event in events[1:] if event.type is EventType.DRIFTED]


def test_what_the_log_says_of_a_host_already_is_not_said_again_and_many_on_it_ask_once() -> None:
    pod = owner()
    assert looked_at(pod, isolated=True) == []
    (request,) = sent(pod, "vm.web-2", "stop")
    assert isinstance(request, Synchronize)
    pod.on_answer("vm.web-2", request.token, Answer(seq=1, status=Status.UNREACHABLE, isolated=True), 0.0)
    assert not [effect for effect in take(pod) if isinstance(effect, Fetch)]
