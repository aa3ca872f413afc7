"""When what was sent and not answered is due to be sent again: one alarm for each resource, whatever it is sent."""

from collections.abc import Iterator
from heapq import heappop, heappush


class Resends:
    """Alarms by resource. One that goes off early is for the caller to notice and to set again."""

    def __init__(self) -> None:
        self._order: list[tuple[float, str]] = []
        self._set: dict[str, float] = {}

    def __len__(self) -> int:
        return len(self._order)

    def arm(self, key: str, due_s: float) -> None:
        """Let an alarm go off at `due_s` at the latest; an earlier one that is set already will do."""
        if due_s < self._set.get(key, float("inf")):
            self._set[key] = due_s
            heappush(self._order, (due_s, key))

    def due(self, now_s: float) -> Iterator[str]:
        """The resources whose alarm goes off now."""
        while self._order and self._order[0][0] <= now_s:
            due_s, key = heappop(self._order)
            if self._set.get(key) == due_s:
                del self._set[key]
                yield key
