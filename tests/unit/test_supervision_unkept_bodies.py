"""What was read of WORK holds although the body is read again later; and what is no unit supersedes nothing."""

import json
from datetime import UTC, datetime
from typing import Any

from treeward.schemas.events import Event, EventType
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import ReadBody, Send
from treeward.supervision.limits import Limits

AT = datetime(2026, 1, 1, tzinfo=UTC)
KEY = "vm.web-1"
LIMITS = Limits()


def event(type_: EventType, key: str, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    return Event(type=type_, zone="zone-a", kind=kind, id=id_, life=3, at=AT, **fields)


class Dispatching:
    """A dispatcher of a pod in which a VM is placed, under a conflict policy; ticket 1 has been sent."""

    def __init__(self, order: str | None = None) -> None:
        self.now_s = 0.0
        self.position = 3
        self.bodies: dict[int, bytes] = {}
        self.last_sent: dict[int, str | None] = {}
        """Ticket -> the mark with which it was last sent."""
        self.fold = Dispatcher("zone-a", LIMITS)
        self.fold.on_claim(1, event(EventType.CLAIMED, "zone.zone-a"), 0.0)
        self.fold.on_claim(2, event(EventType.CLAIMED, "pod.p"), 0.0)
        self.fold.on_fetched("pod.p", 2, event(EventType.CLAIMED, "pod.p"), 0.0)
        self.said: dict[str, Any] = {"pod": "p", "host": "h", "policies": {"order": order} if order else None}
        self.work(1, "stop")
        self.fold.on_fetched(KEY, 3, event(EventType.PLACED, KEY, **self.said), 0.0)

    def become_slow(self) -> None:
        """The first unit is not answered for so long that bodies of what comes are not kept."""
        self.now_s += LIMITS.resend_max_s
        self.fold.tick(self.now_s)

    def work(self, submitted: int, operation: str, **body: Any) -> None:
        self.give(submitted, {"operation": operation, **body})

    def give(self, ticket: int, body: dict[str, Any]) -> None:
        self.bodies[ticket] = json.dumps(body).encode()
        self.fold.on_work(ticket, f"tw.work.zone-a.{KEY}", self.bodies[ticket], None, 0.0, self.now_s)

    def answer(self, ticket: int) -> None:
        self.position += 1
        said = self.said | {"ticket": ticket, "answered": ticket}
        self.fold.on_event(self.position, event(EventType.COMPLETED, KEY, **said), self.now_s)

    def read(self) -> dict[int, str | None]:
        """What was sent, once all bodies that were asked for were read."""
        while self.fold.effects:
            effects, self.fold.effects = self.fold.effects, []
            for effect in effects:
                if isinstance(effect, Send) and effect.key == KEY:
                    mark = effect.message.mark
                    self.last_sent[effect.message.ticket] = mark.outcome.value if mark is not None else None
                elif isinstance(effect, ReadBody):
                    self.fold.on_body(effect.ticket, self.bodies[effect.ticket], None, 0.0, self.now_s)
        return self.last_sent


def test_a_cancel_of_what_a_policy_spares_counts_although_its_body_is_not_kept() -> None:
    dispatching = Dispatching("supersede")
    dispatching.become_slow()
    dispatching.work(2, "configure", spec={"order": "fifo"})
    dispatching.work(3, "start")
    dispatching.work(4, "cancel", ticket=2)
    assert dispatching.fold.bodies.keys() == {1}
    dispatching.answer(1)
    assert dispatching.read() == {1: "superseded", 2: "cancelled", 3: None, 4: None}


def test_what_is_no_unit_supersedes_nothing_when_it_is_amended() -> None:
    dispatching = Dispatching()
    dispatching.work(2, "start")
    dispatching.give(3, {"operaton": "stop"})
    dispatching.work(4, "amend", ticket=3, spec={"order": "supersede"})
    assert dispatching.read() == {1: None, 2: None, 3: "rejected", 4: None}


def test_a_unit_that_is_amended_supersedes_what_is_before_it() -> None:
    dispatching = Dispatching()
    dispatching.work(2, "start")
    dispatching.work(3, "stop")
    dispatching.work(4, "amend", ticket=3, spec={"order": "supersede"})
    assert dispatching.read() == {1: "superseded", 2: "superseded", 3: None, 4: None}


def test_what_an_amend_made_of_a_unit_counts_when_its_body_is_read_again() -> None:
    """By policy it spares the `configure` before it; by its own word, which it has from the `amend`, it does not."""
    dispatching = Dispatching("supersede")
    dispatching.become_slow()
    dispatching.work(2, "configure", spec={"order": "fifo"})
    dispatching.work(3, "start")
    dispatching.work(4, "amend", ticket=3, spec={"order": "supersede"})
    dispatching.answer(1)
    assert dispatching.read() == {1: "superseded", 2: "superseded", 3: None, 4: None}
    dispatching.last_sent.clear()
    dispatching.become_slow()
    assert dispatching.read() == {2: "superseded"}, "sent again with what it was told before"
