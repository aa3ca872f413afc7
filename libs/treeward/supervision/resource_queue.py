"""What a dispatcher knows of one resource."""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Container, Iterator

LIST_UNITS = 32
"""A longer queue is kept in another form: an empty deque takes ten times the room of a list with one number."""


class Queue:
    """What a dispatcher knows of one resource, and its unanswered tickets in order. There may be a million."""

    __slots__ = (
        "answered",
        "attempts",
        "attempts_ticket",
        "began",
        "credited",
        "due_s",
        "fetching",
        "key",
        "order",
        "pause_ticket",
        "pauses",
        "pod",
        "position",
        "released",
        "resend_s",
        "resume_ticket",
        "sent",
        "slow",
        "supersedes",
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
        self.tickets: list[int] | deque[int] = []
        self.sent = 0
        """How many of the first tickets are in the mailbox of the current life."""
        self.credited = 0
        """For how many of the first tickets a place was taken; beyond `sent` while their bodies are read."""
        self.slow = False
        """Not answered for long: one at a time, and without holding credit that others need (PROTOCOL H13)."""
        self.resend_s = 0.0
        self.due_s = 0.0
        self.attempts = 0
        self.attempts_ticket = 0
        self.pause_ticket = 0
        self.resume_ticket = 0
        self.pauses: tuple[int, ...] = ()
        """The tickets of unanswered pauses, in order."""
        self.supersedes: list[int] | None = None
        """The tickets of unanswered units that supersede all before them, in order."""
        self.released = 0
        self.order: str | None = None
        """Its own conflict policy; None: what its branch says."""

    def append(self, ticket: int) -> None:
        """A unit was read."""
        self.tickets.append(ticket)
        if len(self.tickets) > LIST_UNITS and isinstance(self.tickets, list):
            self.tickets = deque(self.tickets)

    def pop_first(self) -> int:
        """The first unit is answered."""
        return self.tickets.popleft() if isinstance(self.tickets, deque) else self.tickets.pop(0)

    @property
    def paused(self) -> bool:
        """Whether a pause was read without a later resume."""
        return self.pause_ticket > self.resume_ticket

    def hold_from(self, ticket: int) -> None:
        """A pause was read: nothing behind it is sent. Of several in a row the first counts."""
        if ticket > self.resume_ticket:
            self.pause_ticket = min(self.pause_ticket, ticket) if self.paused else ticket

    def on_pause(self, ticket: int) -> None:
        """A unit that pauses was read from WORK."""
        self.pauses += (ticket,)
        self.hold_from(ticket)

    def forget_pause(self, answered: int) -> None:
        """A pause was answered otherwise than completed (cancelled, superseded, expired): it holds nothing any more."""
        self.pause_ticket = 0
        for ticket in self.pauses:
            if ticket > answered:
                self.hold_from(ticket)
                return

    def on_supersede(self, ticket: int) -> None:
        """A unit was read that makes what has not started before it superfluous."""
        if self.supersedes is None:
            self.supersedes = []
        place = bisect_left(self.supersedes, ticket)
        if self.supersedes[place : place + 1] != [ticket]:
            self.supersedes.insert(place, ticket)

    def superseding_behind(self, ticket: int) -> Iterator[int]:
        """The units behind `ticket` that supersede what is before them, in order."""
        if self.supersedes is not None and ticket < self.supersedes[-1]:
            for index in range(bisect_right(self.supersedes, ticket), len(self.supersedes)):
                yield self.supersedes[index]

    def superseding_before(self, ticket: int, but: Container[int] = ()) -> int:
        """The last unit before `ticket`, and not answered, that supersedes what is before it; 0: there is none.

        `but`: those that are left out.
        """
        known = self.supersedes or ()
        places = range(bisect_left(known, ticket) - 1, -1, -1)
        return next((known[place] for place in places if known[place] not in but), 0)

    def on_answered(self, answered: int) -> None:
        """What steers is forgotten with its unit."""
        self.answered = answered
        if self.pauses and self.pauses[0] <= answered:
            self.pauses = tuple(ticket for ticket in self.pauses if ticket > answered)
        if self.supersedes is not None and self.supersedes[0] <= answered:
            self.supersedes = self.supersedes[bisect_right(self.supersedes, answered) :] or None
