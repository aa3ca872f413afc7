"""Every rule of the simulation's judge, broken once before its eyes by what it watches: WORK, the log and devices."""

import json
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from treeward.bus.interface import Draft
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT
from treeward.schemas.device import Answer, Status
from treeward.schemas.events import DeviceOutcome, Drift, Event, EventType, Verdict
from treeward.schemas.policies import OnDrift
from treeward.schemas.streams import Retention
from treeward.simulation.device import Books, SimulatedDevice
from treeward.simulation.judge import Judge
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.server import BusServer
from treeward.simulation.tampering import tamper
from treeward.simulation.trace import Trace

AT = datetime(2026, 1, 1, tzinfo=UTC)
CALL_S = 0.1
ZONE, KEY, HERE, THERE = "zone-a", "vm.web-1", "here", "there"
ANYTHING: dict[str, Any] = {"cpus": 1}


class Court:
    """A judge with all that it watches: a zone's streams, and two devices that know nothing of each other."""

    def __init__(self) -> None:
        self.loop = VirtualLoop()
        self.trace = Trace()
        self.server = BusServer(self.loop, Random(1), self.trace)
        for zone in (ROOT, ZONE):
            self.server.provision(zone, Retention())
        books = Books()
        self.devices = {
            name: SimulatedDevice(name, self.loop, Random(name), self.trace, books, CALL_S) for name in (HERE, THERE)
        }
        self.judge = Judge(self.server, books, self.devices, self.trace)

    def submit(self, operation: str, key: str = KEY, **unit: Any) -> int:
        """Have a unit accepted; returns its ticket."""
        return self.submit_body(json.dumps({"operation": operation, **unit}).encode(), key)

    def submit_body(self, body: bytes, key: str = KEY) -> int:
        return self.server.submit(subjects.work(ZONE, key), body, None, None).ticket

    def begin(self, operation: str, ticket: int, at: str = HERE, *, life: int = 1, **fields: Any) -> list[Answer]:
        """Call a device; what it answers comes into the list."""
        asked = {"verb": "call", "operation": operation, "ticket": ticket, "host": "host-1"}
        return self._ask(at, {**asked, "life": life, "owner": f"agent-{life}", **fields})

    def call(self, operation: str, ticket: int, at: str = HERE, *, life: int = 1, **fields: Any) -> None:
        """Call a device and wait for the end of it."""
        answers = self.begin(operation, ticket, at, life=life, **fields)
        self.wait()
        assert [answer.status for answer in answers] == [Status.APPLIED]

    def synchronize(self, at: str, *, life: int, **fields: Any) -> None:
        asked = {"verb": "synchronize", "life": life, "owner": f"agent-{life}", "host": "host-1", **fields}
        assert [answer.status for answer in self._ask(at, asked)] == [Status.OK]

    def _ask(self, at: str, fields: dict[str, Any]) -> list[Answer]:
        kind, _, id_ = KEY.partition(".")
        answers: list[Answer] = []
        self.devices[at].handle(1, {"zone": ZONE, "kind": kind, "id": id_, **fields}, answers.append)
        return answers

    def wait(self) -> None:
        """Whatever a device has begun ends."""
        self.loop.call_later(10 * CALL_S, lambda: None, context=self.loop.world)
        self.loop.run_until(lambda: False, deadline_s=self.loop.now_s + 9 * CALL_S)

    def say(self, type_: EventType, key: str = KEY, **said: Any) -> None:
        """Append an event; without `definition` nothing exists."""
        kind, _, id_ = key.partition(".")
        placed = {"pod": "pod-1", "host": "host-1"} if kind == "vm" else {}
        event = Event(type=type_, zone=ZONE, kind=kind, id=id_, at=AT, **{"life": 1, **placed, **said})
        draft = codec.draft_of(event, instance="agent-1", trace=None)
        assert isinstance(self.server.append(streams.log(ZONE), draft, None, None), int)

    def answer(self, type_: EventType, ticket: int, key: str = KEY, **said: Any) -> None:
        """Append an outcome."""
        self.say(type_, key, **{"ticket": ticket, "answered": ticket, **said})

    def create(self) -> int:
        """What every run does: a unit is called and answered."""
        ticket = self.submit("create")
        self.call("create", ticket)
        self.answer(EventType.COMPLETED, ticket, operation="create", definition=self.definition())
        return ticket

    def definition(self, at: str = HERE) -> dict[str, Any]:
        """What a device has."""
        return self.devices[at].things[f"{ZONE}.{KEY}"].definition

    @property
    def rules(self) -> list[str]:
        """The rules that were broken, in order."""
        return [violation.rule for violation in self.judge.violations]


@pytest.fixture
def court() -> Court:
    return Court()


# --- the ordinary case ------------------------------------------------------------------------------------------------


def test_it_is_silent_when_nothing_is_wrong(court: Court) -> None:
    """One of everything that is allowed: pauses, other lives, an `after`, a drift that somebody made, a purge."""
    created = court.create()
    pause, resume = court.submit("pause"), court.submit("resume")
    stop = court.submit("stop", after=[created])
    court.answer(EventType.COMPLETED, pause, operation="pause", paused=True, definition=court.definition())
    court.answer(EventType.COMPLETED, resume, operation="resume", definition=court.definition())
    court.synchronize(HERE, life=2)
    court.call("stop", stop, life=2)
    court.answer(EventType.COMPLETED, stop, life=2, definition=court.definition())
    assert tamper(court.devices[HERE], ZONE, 0, court.trace, remove=False) == f"{ZONE}.{KEY}"
    court.judge.tampered.add(f"{ZONE}.{KEY}")
    court.say(EventType.DRIFTED, answered=stop, definition=ANYTHING, drift=drift_to(court.definition()), life=2)
    nonsense = court.submit_body(b"nonsense")
    court.answer(EventType.REJECTED, nonsense, definition=court.definition(), life=2)
    court.server.purge(streams.work(ZONE), below=stop)
    court.judge.judge_end()
    court.wait()
    court.judge.judge_late()
    assert court.rules == []
    assert court.judge.open == 0
    assert not court.judge.is_something_unnoticed()


def drift_to(definition: dict[str, Any] | None, policy: OnDrift = OnDrift.REPORT) -> Drift:
    return Drift(exists=definition is not None, definition=definition, since=AT, policy=policy)


# --- devices ----------------------------------------------------------------------------------------------------------


def test_overlap(court: Court) -> None:
    ticket = court.submit("create")
    court.begin("create", ticket, HERE)
    court.begin("create", ticket, THERE)
    assert court.rules == ["overlap"]


def test_applied_twice(court: Court) -> None:
    ticket = court.submit("create")
    court.call("create", ticket, HERE)
    court.devices[HERE].things.clear()  # or there would be two objects as well
    court.call("create", ticket, THERE)
    assert court.rules == ["applied twice"]


def test_begun_behind_what_came_after_it(court: Court) -> None:
    create, stop = court.submit("create"), court.submit("stop")
    court.synchronize(HERE, life=1, definition=ANYTHING)
    court.call("stop", stop, HERE)
    court.devices[HERE].trouble.hang = 1.0
    court.begin("create", create, THERE)
    assert [str(each) for each in court.judge.violations] == [
        f"order of effects: {ZONE}.{KEY}: ticket {create} begins after {stop} was applied"
    ]


def test_applied_behind_what_came_after_it(court: Court) -> None:
    create, stop = court.submit("create"), court.submit("stop")
    court.synchronize(THERE, life=1, definition=ANYTHING)
    court.devices[HERE].trouble.hang = 1.0
    court.begin("create", create, HERE)
    court.call("stop", stop, THERE)
    court.devices[THERE].things.clear()
    court.devices[HERE].clear()
    assert court.rules == ["overlap", "order of effects"]
    assert court.judge.violations[1].what == f"{ZONE}.{KEY}: ticket {create} applied after {stop}"


def test_an_effect_of_a_life_that_was_replaced(court: Court) -> None:
    court.call("create", court.submit("create"), HERE, life=2)
    court.devices[HERE].things.clear()  # or there would be two objects as well
    court.synchronize(THERE, life=1, definition=ANYTHING)
    assert court.rules == ["effect of a life that was replaced"]


def test_two_objects_when_the_second_is_made(court: Court) -> None:
    court.create()
    court.synchronize(THERE, life=2, definition=ANYTHING)
    assert court.rules == ["two objects"]
    assert "made at there while it is at ['here']" in court.judge.violations[0].what


def test_an_effect_after_the_answer(court: Court) -> None:
    ticket = court.submit("create")
    court.begin("create", ticket)
    court.answer(EventType.CANCELLED, ticket)
    court.wait()
    assert court.rules == ["effect after the answer"]


def test_a_call_of_no_unit(court: Court) -> None:
    court.begin("create", court.submit_body(b"nonsense"))
    assert court.rules == ["called no unit"]


def test_a_call_before_what_it_was_to_wait_for(court: Court) -> None:
    first = court.submit("create", "network.net-1")
    court.begin("create", court.submit("create", after=[first]))
    assert court.rules == ["after"]


@pytest.mark.parametrize(("remembers", "ahead", "broken"), [(1, 1, False), (1, 2, True), (3, 3, False), (3, 4, True)])
def test_a_device_forgets_what_is_not_stored(court: Court, remembers: int, ahead: int, broken: bool) -> None:
    court.devices[HERE].remembers = remembers
    court.create()
    for number in range(ahead):
        court.call("stop" if number % 2 == 0 else "start", court.submit("stop" if number % 2 == 0 else "start"))
    assert court.rules == (["forgotten before it was stored"] if broken else [])


def test_a_refusal_is_forgotten_like_an_effect(court: Court) -> None:
    court.devices[HERE].remembers = 1
    court.create()
    court.begin("create", court.submit("create"))
    court.wait()
    court.call("stop", court.submit("stop"))
    assert court.rules == ["forgotten before it was stored"]


def test_a_call_behind_a_pause(court: Court) -> None:
    court.submit("pause")
    court.begin("create", court.submit("create"))
    assert court.rules == ["pause"]


@pytest.mark.parametrize("came", [EventType.CANCELLED, EventType.REJECTED])
def test_a_call_behind_a_pause_that_never_held(court: Court, came: EventType) -> None:
    court.answer(came, court.submit("pause"))
    court.begin("create", court.submit("create"))
    assert court.rules == []


def test_a_restoration_undoes_what_was_answered_since(court: Court) -> None:
    created = court.create()
    stop = court.submit("stop")
    restore = court.submit("restore", spec={"definition": court.definition(), "answered": created})
    court.call("stop", stop)
    court.answer(EventType.COMPLETED, stop, definition=court.definition())
    court.call("restore", restore, spec={"definition": ANYTHING})
    assert court.rules == ["undoes what was answered"]


# --- the log ----------------------------------------------------------------------------------------------------------


def test_an_event_that_cannot_be_read(court: Court) -> None:
    court.server.append(streams.log(ZONE), Draft(subjects.log(ZONE, KEY, "ready"), b"{}", None), None, None)
    assert court.rules == ["log"]


def test_answered_goes_back(court: Court) -> None:
    court.create()
    court.say(EventType.READY, definition=court.definition())
    assert court.rules == ["answered goes back"]


def test_drift_that_nobody_made(court: Court) -> None:
    court.say(EventType.DRIFTED, drift=drift_to(None))
    assert court.rules == ["drift that nobody made"]


@pytest.mark.parametrize("of", ["nothing", "another"])
def test_an_answer_to_what_was_never_asked_of_it(court: Court, of: str) -> None:
    court.answer(EventType.CANCELLED, 7 if of == "nothing" else court.submit("create", "vm.web-2"))
    assert court.rules == ["answered unknown"]


def test_a_second_outcome(court: Court) -> None:
    ticket = court.create()
    court.answer(EventType.FAILED, ticket, definition=court.definition())
    assert court.rules == ["answered twice"]


def test_an_outcome_that_does_not_count_itself_as_answered(court: Court) -> None:
    court.answer(EventType.CANCELLED, court.submit("create"), answered=0)
    assert court.rules == ["answered"]


def test_answers_out_of_order(court: Court) -> None:
    first, second = court.submit("create"), court.submit("create")
    court.answer(EventType.CANCELLED, second)
    court.answer(EventType.CANCELLED, first, answered=second)
    assert court.rules == ["answered", "order of answers"]


def test_certain_of_what_nobody_knows(court: Court) -> None:
    """Its host was isolated while it was called there: nobody knows whether it took effect."""
    ticket = court.submit("create")
    court.say(EventType.HANDED_OFF, ticket=ticket, last_unknown=True)
    court.answer(EventType.CANCELLED, ticket)
    assert court.rules == ["certain of what nobody knows"]


def test_in_doubt_and_says_so(court: Court) -> None:
    ticket = court.submit("create")
    court.call("create", ticket)
    court.say(EventType.HANDED_OFF, ticket=ticket, last_unknown=True)
    court.answer(EventType.FAILED, ticket, verdict=Verdict.MAYBE_STARTED)
    assert court.rules == []


@pytest.mark.parametrize("left", [2, 1])
def test_what_was_called_ahead_is_in_doubt_as_well(court: Court, left: int) -> None:
    """So many units as `in_doubt` says may have taken effect where nobody can be asked any more."""
    create, stop = court.submit("create"), court.submit("stop")
    court.call("create", create)
    court.call("stop", stop)
    court.say(EventType.HANDED_OFF, ticket=create, in_doubt=left)
    court.answer(EventType.FAILED, create, verdict=Verdict.MAYBE_STARTED, in_doubt=left - 1)
    court.answer(EventType.FAILED, stop, verdict=Verdict.MAYBE_STARTED)
    assert court.rules == ([] if left == 2 else ["effect of what is not completed"])


def test_what_is_remembered_is_not_in_doubt(court: Court) -> None:
    create, stop = court.submit("create"), court.submit("stop")
    court.call("create", create)
    known = DeviceOutcome(ticket=create, applied=True)
    court.say(EventType.HANDED_OFF, ticket=create, last=known, in_doubt=1)
    court.answer(EventType.FAILED, create, verdict=Verdict.MAYBE_STARTED, in_doubt=1)
    court.answer(EventType.CANCELLED, stop)
    assert court.rules == ["effect of what is not completed", "certain of what nobody knows"]


def test_a_pause_is_never_in_doubt(court: Court) -> None:
    pause = court.submit("pause")
    court.say(EventType.HANDED_OFF, ticket=pause, in_doubt=1)
    court.answer(EventType.COMPLETED, pause)
    assert court.rules == []


@pytest.mark.parametrize("isolated", [True, False])
def test_of_a_host_in_an_isolated_pod_nobody_knows(court: Court, isolated: bool) -> None:
    spec = {"pod": "pod-1", "cpus": 1, "memory_mib": 1}
    ticket = court.submit("create", "host.host-1", spec=spec)
    called = court.begin("create", ticket, kind="host", id="host-1", spec=spec)
    court.wait()
    assert [answer.status for answer in called] == [Status.APPLIED]
    court.say(EventType.READY, "pod.pod-1", isolated=isolated)
    court.say(EventType.PLACED, "host.host-1", pod="pod-1", ticket=ticket)
    court.answer(EventType.FAILED, ticket, "host.host-1", verdict=Verdict.MAYBE_STARTED, removed=True)
    assert court.rules == ([] if isolated else ["effect of what is not completed"])


def test_failed_and_yet_it_took_effect(court: Court) -> None:
    ticket = court.submit("create")
    court.call("create", ticket)
    court.answer(EventType.FAILED, ticket)
    assert court.rules == ["effect of what is not completed"]


def test_completed_and_it_is_no_unit(court: Court) -> None:
    court.answer(EventType.COMPLETED, court.submit_body(b"nonsense"))
    assert court.rules == ["completed no unit"]


def test_completed_and_yet_nothing_took_effect(court: Court) -> None:
    court.answer(EventType.COMPLETED, court.submit("create"))
    assert court.rules == ["completed without effect"]


@pytest.mark.parametrize("isolated", [True, False])
def test_only_in_an_isolated_pod_a_destroy_needs_no_device(court: Court, isolated: bool) -> None:
    court.create()
    court.say(EventType.READY, "pod.pod-1", isolated=isolated)
    court.answer(EventType.COMPLETED, court.submit("destroy"))
    assert court.rules == ([] if isolated else ["completed without effect"])


# --- WORK -------------------------------------------------------------------------------------------------------------


def test_a_purge_of_what_nobody_has_answered(court: Court) -> None:
    ticket = court.submit("create")
    court.server.purge(streams.work(ZONE), below=ticket + 1)
    assert court.rules == ["purged unanswered"]


def test_a_purge_of_what_the_history_does_not_have(court: Court) -> None:
    court.server.stall(streams.work_history(ZONE))
    ticket = court.create()
    court.server.purge(streams.work(ZONE), below=ticket + 1)
    assert court.rules == ["purged before the history had it"]


# --- the end ----------------------------------------------------------------------------------------------------------


def test_unanswered_at_the_end(court: Court) -> None:
    ticket = court.submit("create")
    court.judge.judge_end()
    assert court.rules == ["unanswered"]
    assert court.judge.violations[0].what == f"{ZONE}.{KEY} ticket {ticket} (create); no event"


def test_at_a_device_and_nothing_was_ever_said_of_it(court: Court) -> None:
    court.synchronize(HERE, life=1, definition=ANYTHING)
    court.judge.judge_end()
    assert court.rules == ["dangling"]


def test_said_to_exist_and_at_no_device(court: Court) -> None:
    court.create()
    del court.devices[HERE].things[f"{ZONE}.{KEY}"]
    court.judge.judge_end()
    assert court.rules == ["honest"]
    assert court.judge.violations[0].what.endswith("and at no device")


@pytest.mark.parametrize("differs", ["definition", "host"])
def test_the_log_says_something_else_than_the_device_has(court: Court, differs: str) -> None:
    court.create()
    thing = court.devices[HERE].things[f"{ZONE}.{KEY}"]
    if differs == "host":
        thing.host = "host-2"
    else:
        thing.definition = {**thing.definition, "cpus": 64}
    court.judge.judge_end()
    assert court.rules == ["honest"]
    assert "the device has" in court.judge.violations[0].what


def test_two_objects_at_the_end(court: Court) -> None:
    court.create()
    court.devices[THERE].things[f"{ZONE}.{KEY}"] = court.devices[HERE].things[f"{ZONE}.{KEY}"]
    court.judge.judge_end()
    assert court.rules == ["two objects"]
    assert court.judge.violations[0].what.endswith("is at ['here', 'there']")


def test_not_restored(court: Court) -> None:
    created = court.create()
    court.judge.tampered.add(f"{ZONE}.{KEY}")
    drift = drift_to(court.definition(), OnDrift.RESTORE)
    court.say(EventType.DRIFTED, answered=created, definition=court.definition(), drift=drift)
    assert court.judge.is_something_unnoticed()
    court.judge.judge_end()
    assert court.rules == ["not restored"]


@pytest.mark.parametrize(
    "what", ["a late absent of the present life", "the same where nothing is", "a late call", "a definition"]
)
def test_something_changes_after_the_end(court: Court, what: str) -> None:
    court.create()
    late = court.submit("start")
    court.answer(EventType.REJECTED, late, definition=court.definition())
    court.synchronize(THERE, life=1)
    court.judge.judge_end()
    assert court.rules == []
    match what:
        case "a late absent of the present life":
            court.synchronize(HERE, life=1, absent=True)
        case "the same where nothing is":
            court.synchronize(THERE, life=1, absent=True)
        case "a late call":
            assert court.begin("start", late) == []
            court.wait()
        case "a definition":
            tamper(court.devices[HERE], ZONE, 0, court.trace, remove=False)
    court.judge.judge_late()
    assert court.rules == ["changed after the end"]


def test_an_owner_that_begins_in_the_last_moment_may_say_so(court: Court) -> None:
    court.create()
    court.judge.judge_end()
    court.synchronize(HERE, life=2)
    court.judge.judge_late()
    assert court.rules == []
