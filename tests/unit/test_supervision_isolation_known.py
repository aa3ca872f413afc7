"""What is known of an isolation, by whom, and what it ends: told by the device's memory, by a look, by the zone."""

from datetime import UTC, datetime
from typing import Any

import pytest

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType, Verdict
from treeward.schemas.mailbox import Message
from treeward.supervision.effects import Append, Call, Effect, Fetch, Observe, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH, COMPLETED = 20, 15
HOST, VM = "host.host-1", "vm.web-1"
THERE: dict[str, Any] = {"exists": True, "definition": {"cpus": 1}}


class Pod:
    """The owner of a pod with one resource, which was completed up to ticket 3; `device` is what its device tells."""

    def __init__(self, key: str = HOST, *, isolated: bool = False, **event: Any) -> None:
        kind, _, id_ = key.partition(".")
        said: dict[str, Any] = {"type": EventType.COMPLETED, "life": 11, "pod": "pod-1", "host": "host-1"}
        said |= {"answered": 3, "ticket": 3, "definition": {"cpus": 1}} | event
        self.key = key
        self.now_s = 100.0
        self.fold = PodOwner("zone-a", "pod-1", EPOCH, Limits(), isolated=isolated)
        self.last = Event(zone="zone-a", kind=kind, id=id_, at=AT, **said)
        self.position = COMPLETED
        self.life = EPOCH
        self.device: dict[str, Any] = {"last": 3, "begun": 3, "last_applied": True, **THERE}

    def take(self) -> list[Effect]:
        """What it wants done; the log answers at once."""
        effects, self.fold.effects = self.fold.effects, []
        if any(isinstance(effect, Fetch) and effect.key == self.key for effect in effects):
            self.fold.on_fetched(self.key, self.position, self.last, self.now_s)
            effects += self.take()
        return [effect for effect in effects if not isinstance(effect, Fetch)]

    def send(self, operation: str, ticket: int = 5, **fields: Any) -> list[Effect]:
        told = {"epoch": EPOCH, "life": self.life, "previous": 3, "seen": self.position} | fields
        self.fold.on_message(self.key, Message(ticket=ticket, operation=operation, **told), self.now_s)
        return self.take()

    def answer(self, effects: list[Effect], status: Status, **said: Any) -> list[Effect]:
        """The device answers the only request."""
        (request,) = (each for each in effects if isinstance(each, Synchronize | Call | Observe))
        answer = Answer(seq=1, status=status, **(self.device | {"high": self.life} | said))
        self.fold.on_answer(self.key, request.token, answer, self.now_s)
        return self.take()

    def store(self, effects: list[Effect]) -> list[Effect]:
        """What was to be said is in the log, in order; what is done then."""
        done: list[Effect] = []
        for append in [effect for effect in effects if isinstance(effect, Append)]:
            self.position = max(self.position, EPOCH)
            for event in append.events:
                self.position += 1
                self.last = event
            self.fold.on_appended(append.token, self.position, self.now_s)
            done += self.take()
        return done

    def pass_time(self, seconds: float) -> list[Effect]:
        self.now_s += seconds
        self.fold.tick(self.now_s)
        return self.take()


def told(effects: list[Effect]) -> list[Event]:
    return [event for effect in effects if isinstance(effect, Append) for event in effect.events]


def outcome(effects: list[Effect]) -> Event:
    (event,) = (event for event in told(effects) if event.is_outcome)
    return event


@pytest.mark.parametrize(("fenced", "type_"), [(True, EventType.COMPLETED), (False, EventType.FAILED)])
def test_an_isolation_that_is_remembered_is_what_the_device_has_fenced(fenced: bool, type_: EventType) -> None:
    """It applied the call, its answer was lost, and the next life asks what became of it."""
    pod = Pod()
    call = pod.answer(pod.send("isolate"), Status.OK)
    assert [effect.message.operation for effect in call if isinstance(effect, Call)] == ["isolate"]
    crashed = pod.pass_time(Limits().call_timeout_s + 1.0)
    pod.store(crashed)
    pod.life = pod.position
    pod.send("isolate", attempts=1)
    asked = pod.pass_time(Limits().backoff_s_max)
    effects = pod.answer(asked, Status.OK, last=5, begun=5, isolated=fenced)
    event = outcome([*effects, *pod.store(effects)])
    assert (event.type, event.ticket, event.isolated, event.draining) == (type_, 5, fenced, fenced)
    assert fenced or event.reason == "its device cannot isolate it: it does not say that it did"


def test_after_an_isolation_the_host_is_brought_before_its_device_anew() -> None:
    """Its record may have been out of reach: what the life has learned before is not believed any longer."""
    pod = Pod()
    call = pod.answer(pod.send("isolate"), Status.UNREACHABLE, high=11)
    pod.store(pod.answer(call, Status.APPLIED, last=5, isolated=True))
    (request,) = pod.send("retry", 6, previous=5)
    assert isinstance(request, Synchronize)


def test_a_host_that_a_unit_isolates_is_not_said_to_be_isolated_without_one() -> None:
    """The device has fenced it for ticket 5, and the agent died before it could say so."""
    pod = Pod()
    effects = pod.answer(pod.send("isolate"), Status.OK, last=5, begun=5, isolated=True)
    events = told([*effects, *pod.store(effects)])
    assert EventType.DRIFTED not in [event.type for event in events]
    assert [(event.type, event.isolated) for event in events if event.is_outcome] == [(EventType.COMPLETED, True)]


def found_by_a_look(**device: Any) -> list[Event]:
    """What is said of a host of which a look tells that it is off and fenced; `device` is what it tells of the life."""
    pod = Pod()
    pod.fold.drift.look(HOST)
    asked = pod.answer(pod.take(), Status.UNREACHABLE, isolated=True)
    return told(pod.answer(asked, Status.UNREACHABLE, isolated=True, **device))


def test_a_host_that_is_off_is_believed_to_be_fenced_only_by_who_has_accepted_the_life() -> None:
    assert [(event.type, event.isolated) for event in found_by_a_look()] == [(EventType.DRIFTED, True)]
    assert found_by_a_look(high=11) == []


def test_what_others_removed_while_it_was_isolated_is_open_when_it_is_created_again() -> None:
    pod = Pod(draining=True)
    pod.last.isolated = True
    pod.last.policies = {"on_drift": "accept"}
    pod.device |= {"exists": False, "definition": None, "isolated": True}
    pod.fold.drift.look(HOST)
    effects = pod.take()
    while not any(event.removed for event in told(effects)):
        effects = pod.answer(effects, Status.OK)
    (gone,) = told(effects)
    assert (gone.type, gone.removed, gone.isolated, gone.draining) == (EventType.DRIFTED, True, False, False)


def test_a_destroy_in_an_isolated_pod_that_comes_too_late_is_in_doubt_like_any_other_unit() -> None:
    late: dict[str, Any] = {"deadline_s": 99.0}
    event = outcome(Pod(isolated=True).send("destroy", **late))
    assert (event.type, event.removed, event.verdict) == (EventType.FAILED, False, Verdict.MAYBE_STARTED)
    (event,) = told(Pod(VM, isolated=True).send("destroy", **late))
    assert (event.type, event.last_unknown) == (EventType.HANDED_OFF, True)


def test_what_is_quarantined_in_an_isolated_pod_waits_for_its_release() -> None:
    pod = Pod(VM, isolated=True, type=EventType.QUARANTINED, quarantined=True)
    assert pod.send("destroy") == []
    released = pod.send("destroy", released=4)
    assert [event.type for event in told(released)] == [EventType.RELEASED]
    event = outcome(pod.store(released))
    assert (event.type, event.removed) == (EventType.COMPLETED, True)
