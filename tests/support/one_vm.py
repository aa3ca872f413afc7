"""The owner of a pod with one VM in it, step by step: each thing that happens is a call, and returns what is done."""

from datetime import UTC, datetime
from typing import Any

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.schemas.places import PlaceSaid
from treeward.supervision.effects import Append, AskPlace, Call, Effect, Fetch, Synchronize
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = 10
PLACED = 11
KEY = "vm.web-1"


def message(ticket: int = 5, operation: str = "start", **fields: Any) -> Message:
    said: dict[str, Any] = {"epoch": EPOCH, "life": PLACED, "ticket": ticket, "previous": 0, "operation": operation}
    return Message(**(said | fields))


class Owner:
    """An owner of a pod in which a VM was placed at 11."""

    def __init__(self, **event: Any) -> None:
        self.now_s = 0.0
        self.position = PLACED
        self.fold = PodOwner("zone-a", "pod-1", EPOCH, Limits(restarts_max=2))
        fields: dict[str, Any] = {
            "type": EventType.PLACED,
            "life": EPOCH,
            "pod": "pod-1",
            "host": "host-1",
            "answered": 3,
        } | event
        self.last = Event(zone="zone-a", kind="vm", id="web-1", at=AT, **fields)

    def take(self) -> list[Effect]:
        effects, self.fold.effects = self.fold.effects, []
        return effects

    def send(self, sent: Message) -> list[Effect]:
        """Deliver a message; a fetch is answered at once."""
        self.fold.on_message(KEY, sent, self.now_s)
        effects = self.take()
        if effects and isinstance(effects[0], Fetch):
            self.fold.on_fetched(KEY, self.position, self.last, self.now_s)
            effects = self.take()
        return effects

    def answer(self, request: Effect, status: Status, **fields: Any) -> list[Effect]:
        assert isinstance(request, Call | Synchronize)
        self.fold.on_answer(KEY, request.token, Answer(seq=1, status=status, **fields), self.now_s)
        return self.take()

    def place(self, asked: Effect, **said: Any) -> Effect:
        """The zone's owner says where it could go."""
        assert isinstance(asked, AskPlace)
        self.fold.on_place(KEY, asked.token, PlaceSaid(**said), self.now_s)
        return self.take()[-1]

    def store(self, append: Effect) -> list[Effect]:
        assert isinstance(append, Append)
        self.position += 1
        self.fold.on_appended(append.token, self.position, self.now_s)
        return self.take()

    def synchronized(self, sent: Message, **fields: Any) -> Effect:
        """The next step for a unit once the device has accepted the life."""
        (synchronize,) = self.send(sent)
        effects = self.answer(synchronize, Status.OK, exists=True, definition={}, **fields)
        if self.last.existed:  # what was made here is in the log before anything else is done
            (ready,) = effects
            effects = self.store(ready)
        return effects[-1]


def said(effect: Effect) -> Event:
    assert isinstance(effect, Append)
    return effect.events[-1]
