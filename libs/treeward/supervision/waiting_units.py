"""The units of one resource where they are answered: at most one in hand, the others wait by ticket (DESIGN section 5).

A process in its pod and an address that is nowhere are both of this kind: they take by the same rule, and begin with
what the last event of their resource says of it wherever it is.
"""

from typing import Any

from treeward.schemas.events import Event
from treeward.schemas.mailbox import Message


class WaitingUnits:
    """What a row of any owner knows of its units, and of how its resource is steered. Slots: there may be a million."""

    __slots__ = (
        "answered",
        "definition",
        "draining",
        "early",
        "hand",
        "isolated",
        "key",
        "paused",
        "policies",
        "queue",
        "reason",
        "released",
        "taken_s",
        "token",
        "used_s",
    )

    def __init__(self, key: str) -> None:
        self.key = key
        self.answered = 0
        self.hand: Message | None = None
        self.queue: list[Message] = []
        """Taken by the rule but for its turn, ordered by ticket; a gap waits here."""
        self.early: list[Message] = []
        """Messages that came before it was known whether they are for this row."""
        self.token = 0
        """Of the request or append that this row waits for; while it is fetched, how new the answer must be."""
        self.taken_s = 0.0
        self.used_s = 0.0
        self.definition: dict[str, Any] | None = None
        self.paused = False
        self.draining = False
        self.isolated = False
        self.released = 0
        self.policies: dict[str, Any] | None = None
        self.reason: str | None = None

    def recall(self, event: Event) -> None:
        """What the last event of the resource says of it, wherever it is."""
        self.answered = event.answered
        self.definition = event.definition
        self.paused = event.paused
        self.draining = event.draining
        self.isolated = event.isolated
        self.released = event.released
        self.policies = event.policies

    def may_take(self, message: Message) -> bool:
        """The take rule (DESIGN section 5): `previous` <= last taken < ticket; a gap waits."""
        return message.previous <= self.answered < message.ticket

    def put(self, message: Message, window: int) -> None:
        """Keep a unit until its turn; a known one only brings its mark, which stays."""
        hand = self.hand
        if hand is not None and hand.ticket == message.ticket:
            hand.amend(message)
            return
        for index, waiting in enumerate(self.queue):
            if waiting.ticket == message.ticket:
                message.mark = waiting.mark or message.mark
                message.amend(waiting)
                self.queue[index] = message
                return
        if len(self.queue) >= 2 * window:
            return  # no dispatcher sends that much beyond its window; whatever this is, it will be sent again
        self.queue.append(message)
        self.queue.sort(key=_ticket)

    def take_next(self, now_s: float) -> bool:
        """Take the first unit if it is its turn."""
        if not self.queue or not self.may_take(self.queue[0]):
            return False
        self.hand = self.queue.pop(0)
        self.taken_s = now_s
        return True

    def drop_answered(self) -> None:
        """Forget waiting units that have an outcome."""
        if self.queue:
            self.queue = [message for message in self.queue if message.ticket > self.answered]

    def describe(self, now_s: float) -> dict[str, object]:
        """What is in hand and why it waits, for people who ask."""
        hand = self.hand
        return {
            "ticket": hand.ticket if hand is not None else None,
            "operation": hand.operation if hand is not None else None,
            "reason": self.reason,
            "taken_s": now_s - self.taken_s if hand is not None else None,
            "waiting": [message.ticket for message in self.queue],
        }


def _ticket(message: Message) -> int:
    return message.ticket
