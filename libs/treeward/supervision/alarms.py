"""What a pod's owner is to do later: rows that wait for their time, and requests that wait for an answer."""

from collections.abc import Iterator
from heapq import heappop, heappush


class Alarms:
    """Two clocks' worth of alarms. A row's that is not wanted any more goes off all the same: who hears it looks."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, str]] = []
        self._requests: dict[int, tuple[float, str]] = {}
        """Token -> by when, and whose. All wait equally long, and time never goes back: the first is due first."""

    def wake(self, key: str, at_s: float) -> None:
        """Look after a row at this time."""
        heappush(self._rows, (at_s, key))

    def expect(self, key: str, token: int, by_s: float) -> None:
        """A request of a row should be answered by then."""
        self._requests[token] = (by_s, key)

    def heard(self, token: int) -> None:
        """A request was answered: nothing is left of it."""
        self._requests.pop(token, None)

    def rows_due(self, now_s: float) -> Iterator[str]:
        """The rows whose time has come; what is set meanwhile for now comes in the same turn."""
        while self._rows and self._rows[0][0] <= now_s:
            yield heappop(self._rows)[1]

    def silent(self, now_s: float) -> Iterator[tuple[str, int]]:
        """`(key, token)` of the requests that should have been answered by now."""
        while self._requests:
            token, (by_s, key) = next(iter(self._requests.items()))
            if by_s > now_s:
                return
            del self._requests[token]
            yield key, token
