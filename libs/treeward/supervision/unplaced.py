"""A row of a zone owner: an address that is nowhere, HERE in PROTOCOL table 2."""

from typing import Any

from treeward.schemas.events import Event
from treeward.schemas.mailbox import Message


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
        "key",
        "paused",
        "queue",
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
        self.released = 0

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
