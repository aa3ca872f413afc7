"""A process while it is in use: one row, at most one unit in hand (PROTOCOL table 3).

What a process was is the last event of its resource, fetched when its first unit arrives; so a row can be forgotten
whenever it is idle, and `answered` is what the take rule calls "last taken": a unit's outcome is committed before the
next unit is taken, or said before the next one is called ahead (S13).
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from treeward.schemas.device import Remembered
from treeward.schemas.events import Event, EventType, Verdict
from treeward.schemas.mailbox import Message
from treeward.supervision.knowledge import began_at
from treeward.supervision.move import Move
from treeward.supervision.waiting_units import WaitingUnits


class Phase(Enum):
    """Where a process is in its life. It acts on a unit only when READY."""

    FETCHING = "fetching"
    """The last event of the resource is being read; the row is not sure that it may exist."""
    INITIALIZED = "initialized"
    """A life has begun; the device has not accepted it yet."""
    SYNCHRONIZING = "synchronizing"
    READY = "ready"
    """The device has accepted the life, and nothing was called in it that is not answered."""
    ASKING = "asking"
    """It is to move: the zone's owner is asked for a place."""
    EMPTYING = "emptying"
    """It has a place elsewhere: the device is asked to hold nothing of it any more."""
    CALLED = "called"
    COMMITTING = "committing"
    """An event that ends the unit in hand, the life or the row is on its way to the log."""
    QUARANTINED = "quarantined"


class Row(WaitingUnits):
    """One process. Slots, since there may be a million."""

    __slots__ = (
        "ahead",
        "attempts",
        "begun",
        "called_s",
        "crashed_at_s",
        "device_applied",
        "device_last",
        "device_reason",
        "exists",
        "host",
        "life",
        "make",
        "move",
        "moved",
        "moved_reason",
        "not_before_s",
        "observed",
        "phase",
        "ready_said",
        "recent",
        "refusal",
        "refusals",
        "remembers",
        "reserves",
        "restarting",
        "retries",
        "tried",
        "untouched",
        "verdict",
    )

    def __init__(self, key: str, life: int) -> None:
        super().__init__(key)
        self.life = life
        self.phase = Phase.FETCHING
        self.called_s = 0.0
        self.not_before_s = 0.0
        self.retries = 0
        self.host: str | None = None
        self.reserves: dict[str, Any] | None = None
        self.observed: dict[str, Any] | None = None
        self.make = False
        """The definition is to be made by the first synchronize: it existed where it came from."""
        self.refusals = 0
        """How often the device has refused that in this life."""
        self.refusal: str | None = None
        """What it said."""
        self.tried: tuple[str, ...] = ()
        """The unit in hand has moved it: the host that it left first, then those that would not make it."""
        self.exists = False
        self.device_last = 0
        self.device_applied = False
        self.device_reason: str | None = None
        self.recent: tuple[Remembered, ...] = ()
        """What the device remembers of tickets before its last one that are not answered yet; mostly nothing."""
        self.begun = 0
        """The ticket that began at the device and did not end; 0: none."""
        self.remembers = 1
        """How many of the tickets answered last the device remembers."""
        self.ahead = 0
        """Outcomes that are said and not stored, while a later unit is called or its outcome is on its way (S13)."""
        self.attempts = 0
        self.verdict: Verdict | None = None
        self.crashed_at_s: tuple[float, ...] = ()
        self.move: Move | None = None
        self.moved = 0
        self.moved_reason: str | None = None
        self.ready_said = False
        self.restarting = False
        """It crashed, and the device has not accepted a life since."""
        self.untouched = False
        """Its life began with `placed`, nothing existed then, and nothing has been called since."""

    @property
    def accepted(self) -> bool:
        """Whether the device has accepted this life."""
        return self.ready_said

    @property
    def refused_before(self) -> bool:
        """Whether it is still to be made, and another host would not."""
        return self.make and len(self.tried) > 1

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand, waiting or on its way."""
        return self.hand is None and not self.queue and self.phase in (Phase.INITIALIZED, Phase.READY)

    def remembered(self, ticket: int) -> Remembered | None:
        """What the device has told of a ticket that is not answered yet."""
        if ticket == self.device_last and ticket:
            return Remembered(ticket=ticket, applied=self.device_applied, reason=self.device_reason)
        for known in self.recent:
            if known.ticket == ticket:
                return known
        return None

    def may_keep(self, message: Message) -> bool:
        """The part of the take rule that never changes again for this message: of this life, and not answered yet."""
        return message.life == self.life and message.ticket > self.answered

    def remember(self, event: Event, position: int, epoch: int) -> None:
        """What the last event of the resource says its process was."""
        self.life = max(began_at(event, position), epoch)
        self.untouched = event.type is EventType.PLACED and self.life == position and not event.existed
        self.recall(event)
        self.host = event.host
        self.reserves = event.reserves or event.definition
        self.observed = event.observed
        self.make = event.existed
        self.tried = event.tried
        self.moved = event.moved
        self.moved_reason = event.reason if event.type is EventType.PLACED else None
        self.restarting = event.type is EventType.CRASHED
        self.phase = Phase.QUARANTINED if event.quarantined else Phase.INITIALIZED
        self.reason = event.reason if event.quarantined else None

    def take_next(self, now_s: float) -> bool:
        """Take the first unit if it is its turn."""
        if not super().take_next(now_s):
            return False
        assert self.hand is not None, "just taken"
        self.called_s = 0.0
        self.attempts = self.hand.attempts
        self.verdict = None
        return True

    def become_answered(self) -> None:
        """The unit in hand has its outcome, and nothing is in hand."""
        assert self.hand is not None, "its outcome was said"
        self.answered = self.hand.ticket
        self.hand = None
        self.verdict = None
        self.attempts = 0
        self.tried = ()
        if self.early:
            self.early = []
        self.drop_answered()

    def flush(self) -> list[Message]:
        """Empty the mailbox: what was sent to this life is void. Returns what was in it, in order."""
        flushed, self.queue = self.queue, []
        return flushed

    def become_living(self, life: int) -> None:
        """Begin a life: initialized, with nothing in hand."""
        assert life > self.life or self.phase is Phase.FETCHING, "a life never ends in an earlier one"
        self.life = life
        self.phase = Phase.INITIALIZED
        self.hand = None
        self.move = None
        self.ready_said = self.untouched = False
        self.retries = self.refusals = 0
        self.queue = []

    def describe(self, now_s: float) -> dict[str, object]:
        """What is in hand and why it waits, for people who ask."""
        return super().describe(now_s) | {
            "life": self.life,
            "phase": self.phase.value,
            "ahead": self.ahead,
            "attempts": self.attempts,
            "verdict": self.verdict,
            "called_s": now_s - self.called_s if self.phase is Phase.CALLED else None,
            "retry_in_s": max(0.0, self.not_before_s - now_s),
            "retries": self.retries,
            "refusals": self.refusals,
            "refusal": self.refusal,
            "crashes": len(self.crashed_at_s),
        }


def early_of(messages: Iterable[Message], life: int) -> list[Message]:
    """Of the messages that came before the life was known to have begun, those that are for it."""
    return [message for message in messages if message.life == life]
