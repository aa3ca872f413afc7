"""A row of a zone owner: an address that is nowhere, HERE in PROTOCOL table 2."""

from typing import Any

from treeward.schemas.events import Event, EventType
from treeward.schemas.mailbox import Message
from treeward.supervision import events


class Unplaced:
    """An address that this owner answers for: HERE in PROTOCOL table 2."""

    __slots__ = (
        "answered",
        "away",
        "came",
        "committing",
        "definition",
        "draining",
        "early",
        "fetching",
        "hand",
        "isolated",
        "key",
        "paused",
        "policies",
        "queue",
        "read",
        "reason",
        "released",
        "taken_s",
        "token",
        "used_s",
    )

    def __init__(self, key: str) -> None:
        self.key = key
        self.fetching = True
        self.away = 0
        """Position of the event that said that it is placed: what came for it waits until a later one is read."""
        self.read: tuple[int, Event] | None = None
        """What was read of it while its last event is being fetched: the answer on its way may be the older one."""
        self.committing = False
        self.answered = 0
        self.hand: Message | None = None
        self.queue: list[Message] = []
        self.early: list[Message] = []
        self.token = 0
        self.taken_s = 0.0
        self.used_s = 0.0
        self.came: Event | None = None
        """The `handed_off` by which it came: what existed is made again wherever it is placed."""
        self.definition: dict[str, Any] | None = None
        self.reason: str | None = None
        self.paused = False
        self.draining = False
        self.isolated = False
        self.policies: dict[str, Any] | None = None
        self.released = 0

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in hand, waiting or on its way."""
        return (bool(self.away) or not self.fetching) and not self.committing and self.hand is None and not self.queue

    def put(self, message: Message, window: int) -> None:
        """Keep a unit until its turn; a known one only brings its mark, which stays."""
        if self.hand is not None and self.hand.ticket == message.ticket:
            self.hand.amend(message)
            return
        for index, waiting in enumerate(self.queue):
            if waiting.ticket == message.ticket:
                message.mark = waiting.mark or message.mark
                message.amend(waiting)
                self.queue[index] = message
                return
        if len(self.queue) < 2 * window:
            self.queue.append(message)
            self.queue.sort(key=lambda waiting: waiting.ticket)

    def take_next(self, now_s: float) -> bool:
        """Take the first unit if it is its turn: the take rule (DESIGN section 5)."""
        if not self.queue or not self.queue[0].previous <= self.answered < self.queue[0].ticket:
            return False
        self.hand = self.queue.pop(0)
        self.taken_s = now_s
        return True

    def event(self, zone: str, life: int, type_: EventType, now_s: float, **changes: object) -> Event:
        """An event about the unit in hand that says all that is known of the address (PROTOCOL S8)."""
        unit = self.hand
        assert unit is not None, "something is in hand"
        kind, _, id_ = self.key.partition(".")
        fields: dict[str, Any] = {
            "type": type_,
            "zone": zone,
            "kind": kind,
            "id": id_,
            "life": life,
            "answered": self.answered,
            "at": events.at(now_s),
            "ticket": unit.ticket,
            "operation": unit.operation or None,
            "flushed": [],
            "paused": self.paused,
            "draining": self.draining,
            "isolated": self.isolated,
            "released": self.released,
            "policies": self.policies,
        } | changes
        return Event.model_construct(**fields)

    def describe(self, now_s: float) -> dict[str, object]:
        """What is in hand and why it waits, for people who ask."""
        hand = self.hand
        return {
            "phase": "fetching" if self.fetching else "committing" if self.committing else "unplaced",
            "ticket": hand.ticket if hand is not None else None,
            "operation": hand.operation if hand is not None else None,
            "reason": self.reason,
            "taken_s": now_s - self.taken_s if hand is not None else None,
            "waiting": [message.ticket for message in self.queue],
        }
