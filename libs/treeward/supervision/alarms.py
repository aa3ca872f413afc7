"""What a pod's owner is to do later: rows that wait for their time, and requests that wait for an answer."""

from collections.abc import Callable, Iterator
from heapq import heappop, heappush

from treeward.supervision.row import Phase, Row


class Alarms:
    """Two clocks' worth of alarms. A row's that is not wanted any more goes off all the same: who hears it looks."""

    def __init__(self, new_token: Callable[[], int], timeout_s: float) -> None:
        """`timeout_s`: how long a request may take."""
        self._new_token = new_token
        self._timeout_s = timeout_s
        self._rows: list[tuple[float, str]] = []
        self._requests: dict[int, tuple[float, str]] = {}
        """Token -> by when, and whose. All wait equally long, and time never goes back: the first is due first."""

    def wake(self, key: str, at_s: float) -> None:
        """Look after a row at this time."""
        heappush(self._rows, (at_s, key))

    def request(self, row: Row, phase: Phase, now_s: float) -> None:
        """A row is about to ask, and waits in this phase for what is answered to its new token."""
        row.phase = phase
        row.token = self.expect(row.key, now_s)

    def expect(self, key: str, now_s: float) -> int:
        """A request is about to be sent: the token that its answer will carry."""
        token = self._new_token()
        self._requests[token] = (now_s + self._timeout_s, key)
        return token

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
