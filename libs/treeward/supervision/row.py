"""A process while it is in use: one row, at most one unit in hand (PROTOCOL table 3).

What a process was is the last event of its resource, fetched when its first unit arrives; so a row can be forgotten
whenever it is idle, and `answered` is what the take rule calls "last taken": a unit's outcome is committed before the
next unit is taken.
"""

from collections.abc import Iterable
from enum import Enum
from typing import Any

from treeward.schemas.events import Event, EventType, Verdict
from treeward.schemas.mailbox import Message
from treeward.supervision.knowledge import began_at
from treeward.supervision.move import Move


class Phase(Enum):
    """Where a process is in its life. It acts on a unit only when READY."""

    FETCHING = "fetching"
    """The last event of the resource is being read; the row is not sure that it may exist."""
    INITIALIZED = "initialized"
    """A life has begun; the device has not accepted it yet."""
    SYNCHRONIZING = "synchronizing"
    ISOLATING = "isolating"
    """A host: its device is asked to fence it."""
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


class Row:
    """One process. Slots, since there may be a million."""

    __slots__ = (
        "answered",
        "attempts",
        "called_s",
        "crashed_at_s",
        "definition",
        "device_applied",
        "device_last",
        "device_reason",
        "draining",
        "early",
        "existed",
        "exists",
        "hand",
        "host",
        "isolated",
        "key",
        "life",
        "make",
        "move",
        "moved",
        "moved_reason",
        "not_before_s",
        "observed",
        "paused",
        "phase",
        "policies",
        "queue",
        "ready_said",
        "reason",
        "released",
        "reserves",
        "restarting",
        "retries",
        "taken_s",
        "token",
        "untouched",
        "used_s",
        "verdict",
    )

    def __init__(self, key: str, life: int) -> None:
        self.key = key
        self.life = life
        self.phase = Phase.FETCHING
        self.answered = 0
        self.hand: Message | None = None
        self.queue: list[Message] = []
        """Taken by the rule but for its turn, ordered by ticket; a gap waits here."""
        self.early: list[Message] = []
        """Messages for a life that may begin with the append that is on its way."""
        self.token = 0
        """Of the request or append that this row waits for; while FETCHING, how new the answer must be."""
        self.taken_s = 0.0
        self.called_s = 0.0
        self.used_s = 0.0
        self.not_before_s = 0.0
        self.retries = 0
        self.host: str | None = None
        self.definition: dict[str, Any] | None = None
        self.reserves: dict[str, Any] | None = None
        self.observed: dict[str, Any] | None = None
        self.make = False
        """The definition is to be made by the first synchronize: it existed where it came from."""
        self.exists = False
        self.existed = False
        self.device_last = 0
        self.device_applied = False
        self.device_reason: str | None = None
        self.attempts = 0
        self.verdict: Verdict | None = None
        self.crashed_at_s: tuple[float, ...] = ()
        self.move: Move | None = None
        self.moved = 0
        self.moved_reason: str | None = None
        self.paused = False
        self.draining = False
        self.isolated = False
        self.released = 0
        self.reason: str | None = None
        self.ready_said = False
        self.policies: dict[str, Any] | None = None
        self.restarting = False
        """It crashed, and the device has not accepted a life since."""
        self.untouched = False
        """Its life began with `placed`, nothing existed then, and nothing has been called since."""

    @property
    def accepted(self) -> bool:
        """Whether the device has accepted this life."""
        return self.ready_said

    @property
    def idle(self) -> bool:
        """Whether nothing is in hand, waiting or on its way."""
        return self.hand is None and not self.queue and self.phase in (Phase.INITIALIZED, Phase.READY)

    def may_keep(self, message: Message) -> bool:
        """The part of the take rule that never changes again for this message: of this life, and not answered yet."""
        return message.life == self.life and message.ticket > self.answered

    def may_take(self, message: Message) -> bool:
        """The take rule (DESIGN section 5): `previous` <= last taken < ticket; a gap waits."""
        return message.previous <= self.answered < message.ticket

    def put(self, message: Message, window: int) -> None:
        """Keep a unit of this life until its turn; a known one only brings its mark, which stays."""
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

    def remember(self, event: Event, position: int, epoch: int) -> None:
        """What the last event of the resource says its process was."""
        self.life = max(began_at(event, position), epoch)
        self.untouched = event.type is EventType.PLACED and self.life == position and not event.existed
        self.answered = event.answered
        self.host = event.host
        self.definition = event.definition
        self.reserves = event.reserves or event.definition
        self.observed = event.observed
        self.make = event.existed
        self.moved = event.moved
        self.moved_reason = event.reason if event.type is EventType.PLACED else None
        self.paused = event.paused
        self.draining = event.draining
        self.isolated = event.isolated
        self.released = event.released
        self.policies = event.policies
        self.restarting = event.type is EventType.CRASHED
        self.phase = Phase.QUARANTINED if event.quarantined else Phase.INITIALIZED
        self.reason = event.reason if event.quarantined else None

    def take_next(self, now_s: float) -> bool:
        """Take the first unit if it is its turn."""
        if not self.queue or not self.may_take(self.queue[0]):
            return False
        self.hand = self.queue.pop(0)
        self.taken_s = now_s
        self.called_s = 0.0
        self.attempts = self.hand.attempts
        self.verdict = None
        return True

    def drop_answered(self) -> None:
        """Forget waiting units that have an outcome."""
        if self.queue:
            self.queue = [message for message in self.queue if message.ticket > self.answered]

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
        self.retries = 0
        self.queue = []

    def describe(self, now_s: float) -> dict[str, object]:
        """What is in hand and why it waits, for people who ask."""
        hand = self.hand
        return {
            "life": self.life,
            "phase": self.phase.value,
            "ticket": hand.ticket if hand is not None else None,
            "operation": hand.operation if hand is not None else None,
            "attempts": self.attempts,
            "verdict": self.verdict,
            "reason": self.reason,
            "taken_s": now_s - self.taken_s if hand is not None else None,
            "called_s": now_s - self.called_s if self.phase is Phase.CALLED else None,
            "retry_in_s": max(0.0, self.not_before_s - now_s),
            "retries": self.retries,
            "crashes": len(self.crashed_at_s),
            "waiting": [message.ticket for message in self.queue],
        }


def _ticket(message: Message) -> int:
    return message.ticket


def early_of(messages: Iterable[Message], life: int) -> list[Message]:
    """Of the messages that came before the life was known to have begun, those that are for it."""
    return [message for message in messages if message.life == life]
