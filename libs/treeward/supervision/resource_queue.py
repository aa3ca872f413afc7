"""What a dispatcher knows of one resource."""

from collections import deque


class Queue:
    """What a dispatcher knows of one resource, and its unanswered tickets in order."""

    __slots__ = (
        "answered",
        "attempts",
        "attempts_ticket",
        "began",
        "credited",
        "due_s",
        "fetching",
        "key",
        "pause_ticket",
        "pod",
        "position",
        "released",
        "resend_s",
        "resume_ticket",
        "sent",
        "slow",
        "tickets",
    )

    def __init__(self, key: str) -> None:
        self.key = key
        self.position = -1
        """Of the last event applied; -1: not even fetched yet, nothing may be sent."""
        self.fetching = False
        self.pod: str | None = None
        self.began = 0
        self.answered = 0
        self.tickets: deque[int] = deque()
        self.sent = 0
        """How many of the first tickets are in the mailbox of the current life."""
        self.credited = 0
        self.slow = False
        """Not answered for long: one at a time, and without holding credit that others need (PROTOCOL H13)."""
        self.resend_s = 0.0
        self.due_s = 0.0
        self.attempts = 0
        self.attempts_ticket = 0
        self.pause_ticket = 0
        self.resume_ticket = 0
        self.released = 0

    @property
    def paused(self) -> bool:
        """Whether a pause was read without a later resume."""
        return self.pause_ticket > self.resume_ticket

    def hold_from(self, ticket: int) -> None:
        """A pause was read: nothing behind it is sent. Of several in a row the first counts."""
        if ticket > self.resume_ticket:
            self.pause_ticket = min(self.pause_ticket, ticket) if self.paused else ticket
