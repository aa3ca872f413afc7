"""Units that wait for a place, in ticket order."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from treeward.supervision.placement import Demand


class Waiting(NamedTuple):
    """A unit without a place, and what it needs at least; None: not known yet."""

    ticket: int
    key: str
    demand: Demand | None


class Homeless:
    """Who is tried again when room comes. All of them are tried in slices, so that no event holds up the loop."""

    def __init__(self) -> None:
        self._waiting: dict[int, Waiting] = {}
        self._to_try: deque[int] = deque()
        self._again = False

    def __contains__(self, ticket: int) -> bool:
        return ticket in self._waiting

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, ticket: int, key: str, demand: Demand | None) -> None:
        """It found no place."""
        self._waiting[ticket] = Waiting(ticket, key, demand)

    def drop(self, ticket: int) -> None:
        """It has one, or needs none any more."""
        self._waiting.pop(ticket, None)

    def that_fit(self, room: Demand) -> list[Waiting]:
        """Those for which this much room is enough, in ticket order."""
        return sorted(one for one in self._waiting.values() if one.demand is None or one.demand.fits(room))

    def try_all(self) -> None:
        """Everything may have changed: all are tried again, by and by, once a round that is under way has ended."""
        self._again = True

    def next_to_try(self, count: int) -> Iterator[Waiting]:
        """The next `count` of those to be tried again."""
        if self._again and not self._to_try:
            self._again = False
            self._to_try = deque(sorted(self._waiting))
        for _ in range(min(count, len(self._to_try))):
            one = self._waiting.get(self._to_try.popleft())
            if one is not None:
                yield one

    def resources(self) -> list[str]:
        """The resources that wait."""
        return [one.key for one in self._waiting.values()]
