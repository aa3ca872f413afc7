"""Up to where WORK is answered, and how much is answered above that: what may be purged, and how.

WORK is purged in bulk below its first unanswered ticket. One that stays unanswered for long keeps all that comes after
it; beyond a bound that is purged by subject, which costs the server more (DESIGN section 4).
"""

from collections import deque
from collections.abc import Container


class LowWater:
    """Every ticket read of WORK that is not below the first unanswered one, in order."""

    def __init__(self) -> None:
        self._tickets: deque[int] = deque()
        self._keys: deque[str] = deque()

    def on_read(self, ticket: int, key: str) -> None:
        """A ticket was read."""
        self._tickets.append(ticket)
        self._keys.append(key)

    def first(self, unanswered: Container[int]) -> int | None:
        """The first unanswered ticket; None: everything read is answered."""
        tickets = self._tickets
        while tickets and tickets[0] not in unanswered:
            tickets.popleft()
            self._keys.popleft()
        return tickets[0] if tickets else None

    def __len__(self) -> int:
        """How many tickets are remembered, answered or not."""
        return len(self._tickets)

    def take_answered(self, unanswered: Container[int], up_to: int) -> dict[str, int]:
        """Key -> below which all of that resource is answered, by tickets `up_to`; they are not counted any more.

        A resource is answered in the order of its tickets, so nothing below an answered one of it is still wanted.
        """
        below: dict[str, int] = {}
        tickets, keys = self._tickets, self._keys
        self._tickets, self._keys = deque(), deque()
        for ticket, key in zip(tickets, keys, strict=True):
            if ticket <= up_to and ticket not in unanswered:
                below[key] = ticket + 1
            else:
                self.on_read(ticket, key)
        return below
