"""What a unit that has not started is to be answered with: conflict policies, `cancel`, deadlines, attempts.

A dispatcher is compared with a model that knows nothing of windows, bodies and mailboxes: the first word about a unit
counts, whoever says it. Another that begins anew finds the same units marked, from WORK and the last event alone.
"""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as some

from treeward.schemas.events import Event, EventType, Outcome
from treeward.schemas.specs import STEERING
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import ReadBody, Send
from treeward.supervision.limits import Limits

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY, POD = "vm.web-1", "pod.pod-1"
LIMITS = Limits(window=3)
ORDERS = some.sampled_from((None, "fifo", "supersede", "destroy_supersedes"))
Steps = list[tuple[str, Any]]


def steps_of(waits_s: some.SearchStrategy[int], **more: some.SearchStrategy[Any]) -> some.SearchStrategy[Steps]:
    """What happens to one resource; `more`: what else a unit may say."""
    units = some.fixed_dictionaries(
        {"operation": some.sampled_from(("start", "stop", "destroy", "release"))},
        optional={
            "order": some.sampled_from(("fifo", "supersede")),
            "on_failure": some.sampled_from(("wait", "fail")),
            "attempts_max": some.integers(1, 3),
            **more,
        },
    )
    return some.lists(
        some.one_of(
            some.tuples(some.just("submit"), units),
            some.tuples(some.just("submit"), units),
            some.tuples(some.just("cancel"), some.integers(0, 20)),
            some.tuples(some.just("amend"), some.integers(0, 20)),
            some.tuples(some.just("wait"), waits_s),
            some.tuples(some.just("crash"), some.none()),
            some.tuples(some.just("answer"), some.none()),
        ),
        max_size=30,
    )


STEPS = steps_of(some.integers(1, 4), in_s=some.integers(1, 6))
SLOW_STEPS = steps_of(some.just(int(LIMITS.resend_s) + 1))
"""Every answer is long in coming, so bodies are not kept; a deadline is only known of who has its body."""


def event(type_: EventType, key: str, order: str | None, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    said = {"type": type_, "zone": "zone-a", "kind": kind, "id": id_, "life": 2, "at": AT}
    return Event.model_validate(said | {"policies": {"order": order} if order is not None else None} | fields)


@dataclass
class Model:
    """The first word about each unit that waits."""

    policy: str | None
    now_s: float = 0.0
    units: dict[int, dict[str, Any]] = field(default_factory=dict)
    marks: dict[int, Outcome] = field(default_factory=dict)
    attempts: int = 0
    """Of the first."""

    def mark(self, ticket: int, outcome: Outcome) -> None:
        if ticket in self.units:
            self.marks.setdefault(ticket, outcome)

    def read(self, ticket: int, unit: dict[str, Any]) -> None:
        before, operation = list(self.units), unit["operation"]
        self.units[ticket] = unit
        if operation == "cancel":
            self.mark(unit["ticket"], Outcome.CANCELLED)
        if operation == "amend" and unit["ticket"] in self.units:
            for each in before:
                if each < unit["ticket"]:
                    self.mark(each, Outcome.SUPERSEDED)
        decides = self.policy == "supersede" or (self.policy == "destroy_supersedes" and operation == "destroy")
        by_policy = decides and "order" not in unit and operation not in STEERING
        for each in before:
            spared = by_policy and self.units[each]["operation"] in STEERING
            if unit.get("order") == "supersede" or (by_policy and not spared):
                self.mark(each, Outcome.SUPERSEDED)

    def wait(self, seconds: int) -> None:
        self.now_s += seconds
        for ticket, unit in self.units.items():
            if unit.get("deadline_s", self.now_s + 1) <= self.now_s:
                self.mark(ticket, Outcome.EXPIRED)

    def crash(self) -> int:
        """The first is in hand, and its process crashes."""
        ticket, unit = next(iter(self.units.items()))
        self.attempts += 1
        if unit.get("on_failure") == "fail" or self.attempts >= unit.get("attempts_max", 5):
            self.mark(ticket, Outcome.FAILED)
        return ticket

    def answer(self) -> tuple[int, Outcome]:
        ticket = next(iter(self.units))
        del self.units[ticket]
        self.attempts = 0
        return ticket, self.marks.pop(ticket, Outcome.COMPLETED)


class Dispatching:
    """A dispatcher and the model beside it; after each step they agree."""

    def __init__(self, own: str | None, pod: str | None, zone: str | None) -> None:
        self.orders = (own, pod, zone)
        self.model = Model(own or pod or zone)
        self.ticket = 0
        self.position = 5
        self.last = event(EventType.PLACED, KEY, own, pod="pod-1", host="host-1")
        self.fold = self.begin()
        self.bodies: dict[int, bytes] = {}
        """What WORK holds."""
        self.told: dict[int, Outcome | None] = {}
        """What was last sent of each: with which mark."""

    def begin(self) -> Dispatcher:
        """One that knows the log as it is now, and nothing of WORK."""
        _, pod, zone = self.orders
        fold = Dispatcher("zone-a", LIMITS)
        fold.on_claim(1, event(EventType.CLAIMED, "zone.zone-a", zone), 0.0)
        fold.on_claim(2, event(EventType.CLAIMED, POD, pod), 0.0)
        fold.know_pod("pod-1")
        fold.on_fetched(POD, 4, event(EventType.COMPLETED, POD, pod, definition={}), 0.0)
        return fold

    def give(self, fold: Dispatcher, ticket: int, unit: dict[str, Any]) -> None:
        body = {name: value for name, value in unit.items() if name != "deadline_s"}
        if "deadline_s" in unit:
            body["deadline"] = datetime.fromtimestamp(unit["deadline_s"], UTC).isoformat()
        self.bodies[ticket] = json.dumps(body).encode()
        fold.on_work(ticket, f"tw.work.zone-a.{KEY}", self.bodies[ticket], None, 0.0, self.model.now_s)
        fold.on_fetched(KEY, self.position, self.last, self.model.now_s)

    def submit(self, unit: dict[str, Any]) -> None:
        self.ticket += 1
        unit = dict(unit)
        if "in_s" in unit:
            unit["deadline_s"] = self.model.now_s + unit.pop("in_s")
        self.model.read(self.ticket, unit)
        self.give(self.fold, self.ticket, unit)

    def cancel(self, which: int) -> None:
        if self.ticket:
            self.submit({"operation": "cancel", "ticket": 1 + which % self.ticket})

    def amend(self, which: int) -> None:
        """A unit that waits is to supersede what is before it."""
        if self.ticket:
            spec = {"order": "supersede"}
            self.submit({"operation": "amend", "ticket": 1 + which % self.ticket, "spec": spec})

    def wait(self, seconds: int) -> None:
        self.model.wait(seconds)
        self.fold.tick(self.model.now_s)

    def crash(self, _: None) -> None:
        if self.model.units:
            ticket = self.model.crash()
            self._say(EventType.CRASHED, ticket=ticket, attempts=self.model.attempts, verdict="maybe_started")

    def answer(self, _: None) -> None:
        if self.model.units:
            ticket, outcome = self.model.answer()
            self.told.pop(ticket, None)
            self._say(EventType(outcome.value), ticket=ticket, answered=ticket)

    def _say(self, type_: EventType, **fields: Any) -> None:
        self.position += 1
        said = {"pod": "pod-1", "host": "host-1", "answered": self.last.answered} | fields
        self.last = event(type_, KEY, self.orders[0], **said)
        self.fold.on_event(self.position, self.last, self.model.now_s)

    def agrees_after_each(self, steps: Steps) -> None:
        for what, value in steps:
            getattr(self, what)(value)
            self.check()

    def check(self) -> None:
        """Dispatcher and model agree, and whoever has a unit has been told what it is to be answered with."""
        while self.fold.effects:
            effects, self.fold.effects = self.fold.effects, []
            for effect in effects:
                if isinstance(effect, Send) and effect.key == KEY:
                    mark = effect.message.mark
                    self.told[effect.message.ticket] = mark.outcome if mark is not None else None
                elif isinstance(effect, ReadBody):
                    self.fold.on_body(effect.ticket, self.bodies[effect.ticket], None, 0.0, self.model.now_s)
        assert self.marked(self.fold) == self.model.marks
        in_mailbox = list(self.model.units)[: self.fold.queues[KEY].sent] if self.model.units else []
        assert {ticket: self.told[ticket] for ticket in in_mailbox} == {
            ticket: self.model.marks.get(ticket) for ticket in in_mailbox
        }

    def marked(self, fold: Dispatcher) -> dict[int, Outcome]:
        queue = fold.queues.get(KEY)
        found = {ticket: fold.mark_of(queue, ticket) for ticket in self.model.units} if queue is not None else {}
        return {ticket: mark.outcome for ticket, mark in found.items() if mark is not None}


@settings(max_examples=300)
@given(ORDERS, ORDERS, ORDERS, STEPS)
def test_the_first_word_about_a_unit_is_what_it_is_answered_with(
    own: str | None, pod: str | None, zone: str | None, steps: Steps
) -> None:
    Dispatching(own, pod, zone).agrees_after_each(steps)


@settings(max_examples=300)
@given(ORDERS, ORDERS, ORDERS, SLOW_STEPS)
def test_the_same_holds_of_units_whose_bodies_are_not_kept(
    own: str | None, pod: str | None, zone: str | None, steps: Steps
) -> None:
    Dispatching(own, pod, zone).agrees_after_each(steps)


@settings(max_examples=200)
@given(ORDERS, ORDERS, ORDERS, STEPS)
def test_a_dispatcher_that_begins_anew_finds_the_same_units_marked(
    own: str | None, pod: str | None, zone: str | None, steps: Steps
) -> None:
    dispatching = Dispatching(own, pod, zone)
    for what, value in steps:
        getattr(dispatching, what)(value)
    successor = dispatching.begin()
    successor.catching_up = True
    for ticket, unit in dispatching.model.units.items():
        dispatching.give(successor, ticket, unit)
    successor.on_caught_up(dispatching.model.now_s)
    successor.tick(dispatching.model.now_s)
    assert dispatching.marked(successor).keys() == dispatching.model.marks.keys()
