"""A dispatcher whose every decision is looked at right away."""

import json
from datetime import UTC, datetime
from typing import Any

from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.supervision.dispatch import Dispatcher
from treeward.supervision.effects import Send
from treeward.supervision.limits import Limits

AT = datetime(2026, 1, 1, tzinfo=UTC)
VM = "vm.web-1"
ZONE_EPOCH, POD_EPOCH, PLACED = 1, 2, 3


def event(type_: EventType, key: str = VM, **fields: Any) -> Event:
    kind, _, id_ = key.partition(".")
    said: dict[str, Any] = {"type": type_, "zone": "zone-a", "kind": kind, "id": id_, "life": PLACED, "at": AT}
    return Event(**(said | fields))


class Sending:
    """A dispatcher of a zone with one pod; everything it decides is looked at right away."""

    def __init__(self, **limits: Any) -> None:
        self.fold = Dispatcher("zone-a", Limits(**{"window": 3, **limits}))
        self.fold.on_claim(ZONE_EPOCH, event(EventType.CLAIMED, "zone.zone-a"), 0.0)
        self.fold.on_claim(POD_EPOCH, event(EventType.CLAIMED, "pod.pod-1"), 0.0)
        self.fold.know_pod("pod-1")
        self.fold.on_fetched("pod.pod-1", POD_EPOCH, event(EventType.CLAIMED, "pod.pod-1"), 0.0)
        self.fold.effects.clear()
        self.now_s = 0.0

    def take(self) -> list[Any]:
        effects, self.fold.effects = self.fold.effects, []
        return effects

    def sent(self) -> list[Message]:
        return [effect.message for effect in self.take() if isinstance(effect, Send)]

    def tickets(self) -> list[int]:
        return [message.ticket for message in self.sent()]

    def work(self, number: int, operation: str = "start", key: str = VM, **body: Any) -> None:
        data = json.dumps({"operation": operation, **body}).encode()
        self.fold.on_work(number, f"tw.work.zone-a.{key}", data, None, self.now_s, self.now_s)

    def known(self, key: str = VM, **fields: Any) -> None:
        """The fetch for a resource is answered: it was placed in the pod."""
        placed = event(EventType.PLACED, key, **({"pod": "pod-1", "host": "host-1"} | fields))
        self.fold.on_fetched(key, PLACED, placed, self.now_s)

    def log(self, position: int, type_: EventType, key: str = VM, **fields: Any) -> None:
        self.fold.on_event(position, event(type_, key, **({"pod": "pod-1", "host": "host-1"} | fields)), self.now_s)

    def answer(self, position: int, ticket: int, key: str = VM, **fields: Any) -> None:
        self.log(position, EventType.COMPLETED, key, ticket=ticket, answered=ticket, **fields)

    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        self.fold.tick(self.now_s)
