"""`configure`: the policies of a resource or branch are work like any other, and hold from the event that says so."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.pod_crowd import Crowd, failing, gone, well

from treeward.schemas.events import Event, EventType, Outcome
from treeward.schemas.mailbox import Message
from treeward.schemas.units import InvalidUnitError, parse_unit
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import Append, Send
from treeward.supervision.limits import Limits
from treeward.supervision.row import Phase
from treeward.supervision.zone_owner import ZoneOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
LIMITS = Limits(restarts_max=2, backoff_s_max=0.2)


def body(spec: dict[str, Any] | None, operation: str = "configure") -> bytes:
    return json.dumps({"operation": operation} | ({"spec": spec} if spec is not None else {})).encode()


@pytest.mark.parametrize(
    ("key", "spec", "sentence"),
    [
        ("vm.a", None, "spec: names no policy"),
        ("vm.a", {}, "spec: names no policy"),
        ("vm.a", {"restart_max": 3}, "restarts_max"),
        ("vm.a", {"restarts_max": -1}, "restarts_max"),
        ("vm.a", {"order": "lifo"}, "order"),
        ("vm.a", {"kinds": {}}, "nothing is below a vm"),
        ("host.a", {"restarts_per_s": 5.0}, "configure the pod or the zone"),
        ("pod.a", {"backoff_min_s": 5.0, "backoff_max_s": 1.0}, "backoff_min_s must be at most backoff_max_s"),
    ],
)
def test_what_is_no_policy_is_refused_at_the_door(key: str, spec: dict[str, Any] | None, sentence: str) -> None:
    with pytest.raises(InvalidUnitError, match=sentence):
        parse_unit(body(spec), zone="zone-a", key=key)


def test_a_create_of_a_host_with_policies_of_a_pod_is_refused_at_the_door() -> None:
    spec = {"pod": "p", "cpus": 1, "memory_mib": 1, "policies": {"restarts_at_once": 5}}
    with pytest.raises(InvalidUnitError, match=r"spec\.policies: restarts_at_once"):
        parse_unit(body(spec, "create"), zone="zone-a", key="host.h")


@pytest.mark.parametrize("spec", [{"restarts_max": None}, {"kinds": {"vm": None}}, {"order": "destroy_supersedes"}])
def test_what_is_one_is_let_in(spec: dict[str, Any]) -> None:
    assert parse_unit(body(spec), zone="zone-a", key="pod.p").spec == spec


# --- processes ------------------------------------------------------------------------------------------------------


def crashes_before_quarantine(crowd: Crowd, key: str, ticket: int) -> int:
    before = len(crowd.events(key, EventType.CRASHED))
    crowd.device = failing
    crowd.submit(key, ticket)
    crowd.pass_time(30.0)
    assert crowd.owner.rows[key].phase is Phase.QUARANTINED
    return len(crowd.events(key, EventType.CRASHED)) - before


def test_a_process_is_restarted_as_it_was_last_configured() -> None:
    crowd = Crowd(LIMITS)
    crowd.submit("vm.a", 1, "configure", spec={"restarts_max": 4})
    (said,) = crowd.events("vm.a", EventType.COMPLETED)
    assert said.policies == {"restarts_max": 4}
    crowd.submit("vm.a", 2, "configure", spec={"restarts_max": 1, "order": "supersede"})
    crowd.submit("vm.a", 3, "configure", spec={"order": None})
    assert crowd.last["vm.a"][1].policies == {"restarts_max": 1}
    assert crashes_before_quarantine(crowd, "vm.a", 4) == 2


def test_what_was_configured_survives_a_takeover() -> None:
    crowd = Crowd(LIMITS)
    crowd.submit("vm.a", 1, "configure", spec={"restarts_max": 0})
    successor = Crowd(LIMITS)
    successor.last, successor.position = dict(crowd.last), crowd.position
    assert crashes_before_quarantine(successor, "vm.a", 2) == 1
    assert successor.last["vm.a"][1].policies == {"restarts_max": 0}


def test_a_configure_that_was_cancelled_changes_nothing() -> None:
    crowd = Crowd(LIMITS)
    mark = {"outcome": Outcome.CANCELLED, "reason": "on the bench"}
    unit = {"epoch": 10, "life": 11, "ticket": 1, "previous": 0, "operation": "configure", "mark": mark}
    crowd.place("vm.a")
    crowd.owner.on_message("vm.a", Message.model_validate(unit | {"spec": {"restarts_max": 0}}), crowd.now_s)
    crowd._carry_out()
    assert (crowd.last["vm.a"][1].type, crowd.last["vm.a"][1].policies) == (EventType.CANCELLED, None)


def test_a_process_goes_by_its_host_before_its_pod_and_by_its_kind_before_all_kinds() -> None:
    crowd = Crowd(LIMITS, policies={"restarts_max": 9, "kinds": {"volume": {"restarts_max": 3}}})
    crowd.place("host.h1", policies={"kinds": {"vm": {"restarts_max": 0}}})
    assert crashes_before_quarantine(crowd, "vm.a", 1) == 1
    assert crashes_before_quarantine(crowd, "volume.a", 2) == 4


def test_a_host_that_is_configured_is_obeyed_by_what_is_on_it_at_once() -> None:
    crowd = Crowd(LIMITS)
    crowd.place("host.h1")
    crowd.submit("host.h1", 1, "configure", spec={"restarts_max": 1})
    assert crashes_before_quarantine(crowd, "vm.a", 2) == 2


def test_a_host_keeps_the_policies_of_its_create() -> None:
    crowd = Crowd(LIMITS)
    crowd.submit("host.h1", 1, "create", spec={"pod": "p1", "policies": {"restarts_max": 7}})
    assert crowd.last["host.h1"][1].policies == {"restarts_max": 7}


def test_the_budget_of_a_pod_changes_while_its_line_is_long() -> None:
    limits = Limits(pod_restarts_per_s=10.0, backoff_s_max=0.2)
    crowd = Crowd(limits)
    crowd.device = failing
    for number in range(100):
        crowd.submit(f"vm.{number}", number + 1)
    crowd.device = gone
    crowd.pass_time(5.0)
    assert crowd.restarts_within(crowd.now_s - 4.0, 4.0) <= 10 * 4.2 + 1
    crowd.owner.policies.pod = {"restarts_per_s": 100.0}
    crowd.device = well
    crowd.pass_time(2.0)
    assert crowd.count(EventType.COMPLETED) == 100


# --- branches -------------------------------------------------------------------------------------------------------


class Zone:
    """The owner of a zone and the units on one pod of it."""

    def __init__(self) -> None:
        self.owner = ZoneOwner("zone-a", 10, Limits())
        self.owner.on_fold_complete()
        self.last: tuple[int, Event] | None = None
        self.events: list[Event] = []
        self.position = 10

    def submit(self, ticket: int, operation: str, spec: dict[str, Any] | None = None) -> Event:
        message = Message(epoch=10, life=10, ticket=ticket, previous=0, operation=operation, spec=spec)
        self.owner.on_message("pod.p", message, 0.0)
        if "pod.p" in self.owner.rows and self.owner.rows["pod.p"].fetching:
            position, last = self.last or (0, None)
            self.owner.on_fetched("pod.p", position, last, 0.0)
        self.collect()
        return self.events[-1]

    def collect(self) -> None:
        effects, self.owner.effects = self.owner.effects, []
        for effect in effects:
            if isinstance(effect, Append):
                for event in effect.events:
                    self.position += 1
                    self.events.append(event)
                    self.last = (self.position, event)
                self.owner.on_appended(effect.token, self.position, 0.0)


def test_a_pod_says_its_policies_in_every_event_and_its_claims() -> None:
    zone = Zone()
    created = zone.submit(1, "create", {"labels": {}, "policies": {"restarts_max": 3}})
    assert (created.type, created.policies) == (EventType.COMPLETED, {"restarts_max": 3})
    assert "policies" not in (created.definition or {})
    configured = zone.submit(2, "configure", {"restarts_per_s": 20.0})
    assert configured.policies == {"restarts_max": 3, "restarts_per_s": 20.0}
    zone.owner.claim_pod("p", "agent-1", "on the bench", 0.0)
    zone.collect()
    assert (zone.events[-1].type, zone.events[-1].policies) == (EventType.CLAIMED, configured.policies)
    assert zone.submit(3, "destroy").policies is None


def test_a_quarantined_pod_is_claimed_for_nobody_until_its_release_is_answered() -> None:
    zone = Zone()
    zone.submit(1, "create", {"labels": {}})
    zone.owner.claim_pod("p", "agent-1", "on the bench", 0.0)
    zone.collect()
    zone.owner.quarantine_pod("p", "nothing helped", 0.0)
    zone.collect()
    quarantined, claimed = zone.events[-2:]
    assert (quarantined.type, quarantined.reason) == (EventType.QUARANTINED, "nothing helped")
    assert (claimed.type, claimed.owner, claimed.quarantined) == (EventType.CLAIMED, None, True)
    assert zone.submit(2, "pause").quarantined
    assert not zone.submit(3, "release").quarantined


# --- conflict policies ----------------------------------------------------------------------------------------------


class Dispatch:
    """A dispatcher of a zone with one pod, in which `vm.a` is placed."""

    def __init__(self, *, own: Any = None, pod: Any = None, zone: Any = None) -> None:
        self.fold = Dispatcher("zone-a", Limits())
        self.fold.on_claim(1, self.event(EventType.CLAIMED, "zone.zone-a", policies=zone), 0.0)
        self.fold.on_claim(2, self.event(EventType.CLAIMED, "pod.p"), 0.0)
        self.fold.on_fetched("pod.p", 2, self.event(EventType.CLAIMED, "pod.p", policies=pod), 0.0)
        self.own = own

    def event(self, type_: EventType, key: str, **fields: Any) -> Event:
        kind, _, id_ = key.partition(".")
        return Event.model_validate(
            {"type": type_, "zone": "zone-a", "kind": kind, "id": id_, "life": 3, "at": AT} | fields
        )

    def work(self, *operations: str, **fields: Any) -> None:
        for operation in operations:
            ticket = self.fold.read_up_to + 1
            data = json.dumps({"operation": operation} | fields).encode()
            self.fold.on_work(ticket, "tw.work.zone-a.vm.a", data, None, 0.0, 0.0)

    def known(self) -> dict[int, str | None]:
        """The place of the resource is read; ticket > the mark with which it was last sent."""
        placed = self.event(EventType.PLACED, "vm.a", pod="p", host="h", policies=self.own)
        self.fold.on_fetched("vm.a", 3, placed, 0.0)
        return self.sent()

    def sent(self) -> dict[int, str | None]:
        effects, self.fold.effects = self.fold.effects, []
        messages = [effect.message for effect in effects if isinstance(effect, Send)]
        return {each.ticket: each.mark.outcome.value if each.mark is not None else None for each in messages}


SUPERSEDE, DESTROY, FIFO = ({"order": order} for order in ("supersede", "destroy_supersedes", "fifo"))


@pytest.mark.parametrize(
    "policies", [{"own": DESTROY}, {"pod": DESTROY}, {"zone": DESTROY}, {"own": DESTROY, "pod": FIFO}]
)
def test_a_destroy_supersedes_what_has_not_started_where_a_branch_says_so(policies: dict[str, Any]) -> None:
    dispatch = Dispatch(**policies)
    dispatch.work("create", "start", "destroy", "create")
    assert dispatch.known() == {1: "superseded", 2: "superseded", 3: None, 4: None}


@pytest.mark.parametrize("policies", [{}, {"own": FIFO, "zone": DESTROY}, {"pod": FIFO, "zone": SUPERSEDE}])
def test_it_supersedes_nothing_where_the_nearest_branch_does_not(policies: dict[str, Any]) -> None:
    dispatch = Dispatch(**policies)
    dispatch.work("create", "start", "destroy")
    assert dispatch.known() == {1: None, 2: None, 3: None}


def test_with_supersede_the_last_unit_stands_and_what_steers_is_spared() -> None:
    dispatch = Dispatch(own=SUPERSEDE)
    dispatch.work("start", "stop")
    dispatch.work("configure", spec={"restarts_max": 1})
    dispatch.work("start")
    assert dispatch.known() == {1: "superseded", 2: "superseded", 3: None, 4: None}


def test_a_unit_that_says_its_order_has_its_way() -> None:
    dispatch = Dispatch(own=SUPERSEDE)
    dispatch.work("start")
    dispatch.work("stop", order="fifo")
    assert dispatch.known() == {1: None, 2: None}


def test_a_policy_that_changes_holds_for_what_waits_already() -> None:
    dispatch = Dispatch()
    dispatch.work("create", "start", "destroy")
    assert dispatch.known() == {1: None, 2: None, 3: None}
    dispatch.fold.on_event(9, dispatch.event(EventType.COMPLETED, "pod.p", policies=DESTROY, answered=7, ticket=7), 0.0)
    assert dispatch.sent() == {1: "superseded", 2: "superseded"}


def test_a_zone_that_is_claimed_with_other_policies_orders_anew() -> None:
    dispatch = Dispatch()
    dispatch.work("start", "stop")
    dispatch.known()
    dispatch.fold.on_claim(20, dispatch.event(EventType.CLAIMED, "zone.zone-a", policies=SUPERSEDE), 0.0)
    assert dispatch.sent() == {1: "superseded"}
