"""Units that wait for a place, in ticket order."""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Iterator
from heapq import heappop, heappush, merge
from itertools import islice
from typing import NamedTuple

from treeward.supervision.need import Demand


class Waiting(NamedTuple):
    """A unit without a place, and what it needs at least; None: not known yet."""

    ticket: int
    key: str
    demand: Demand | None
    deadline_s: float | None = None


class Homeless:
    """Who is tried again when room comes. All of them are tried in slices, so that no event holds up the loop.

    Those that need the same stand in one line, so that room on a host costs as much as there are sizes, not as there
    are who wait.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}
        self._lines: dict[Demand | None, list[int]] = {}
        """What is needed -> tickets, sorted."""
        self._deadlines: list[tuple[float, int]] = []
        self._to_try: deque[int] = deque()
        self._again = False

    def __contains__(self, ticket: int) -> bool:
        return ticket in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, ticket: int, key: str, demand: Demand | None, deadline_s: float | None = None) -> None:
        """It found no place."""
        known, one = self._waiting.get(ticket), Waiting(ticket, key, demand, deadline_s)
        if known == one:
            return
        if deadline_s is not None and (known is None or known.deadline_s != deadline_s):
            heappush(self._deadlines, (deadline_s, ticket))
        if known is not None:
            self._leave_line(known)
        self._waiting[ticket] = one
        insort(self._lines.setdefault(demand, []), ticket)

    def drop(self, ticket: int) -> None:
        """It has one, or needs none any more."""
        known = self._waiting.pop(ticket, None)
        if known is not None:
            self._leave_line(known)

    def _leave_line(self, one: Waiting) -> None:
        line = self._lines[one.demand]
        del line[bisect_left(line, one.ticket)]
        if not line:
            del self._lines[one.demand]

    def that_fit(self, room: Demand, count: int) -> list[Waiting]:
        """The first `count` of those for which this much room is enough, in ticket order."""
        lines = [line for demand, line in self._lines.items() if demand is None or demand.fits(room)]
        return [self._waiting[ticket] for ticket in islice(merge(*lines), count)]

    def try_all(self) -> None:
        """Everything may have changed: all are tried again, by and by, once a round that is under way has ended."""
        self._again = True

    def next_to_try(self, count: int) -> Iterator[Waiting]:
        """The next `count` of those to be tried again."""
        if self._again and not self._to_try:
            self._again = False
            self._to_try = deque(merge(*self._lines.values()))
        for _ in range(min(count, len(self._to_try))):
            one = self._waiting.get(self._to_try.popleft())
            if one is not None:
                yield one

    def expired(self, now_s: float) -> Iterator[Waiting]:
        """Those that waited beyond the deadline that they came with, each once."""
        while self._deadlines and self._deadlines[0][0] <= now_s:
            deadline_s, ticket = heappop(self._deadlines)
            one = self._waiting.get(ticket)
            if one is not None and one.deadline_s == deadline_s:  # else it was amended
                yield one
