"""Back-pressure: how many unanswered units of one pod may be in mailboxes, and who waits for that (PROTOCOL H13)."""

from collections import deque
from collections.abc import Iterator


class Credit:
    """A bounded number of places for each partition; who finds none stands in line, first come first served."""

    def __init__(self, units_max: int) -> None:
        self._units_max = units_max
        self._used: dict[str, int] = {}
        self._line: dict[str, deque[str]] = {}
        self._waiting: dict[str, str] = {}
        """In which line a key stands; a place in any other is void: it has moved."""
        self._freed: dict[str, None] = {}
        """Partitions with a line and a place, in an order that does not depend on chance."""

    def take(self, partition: str, key: str) -> bool:
        """Take one place; False: there is none, and `key` now stands in line."""
        used = self._used.get(partition, 0)
        if used >= self._units_max:
            if self._waiting.get(key) != partition:
                self._waiting[key] = partition
                self._line.setdefault(partition, deque()).append(key)
            return False
        self._used[partition] = used + 1
        return True

    def give_back(self, partition: str, count: int = 1) -> None:
        """Return places."""
        self._used[partition] -= count
        if self._line.get(partition):
            self._freed[partition] = None

    def waits(self, key: str) -> bool:
        """Whether a resource stands in line."""
        return key in self._waiting

    def called(self) -> Iterator[str]:
        """Those whose turn it is, one after the other, for as long as there are places."""
        while self._freed:
            partition, _ = self._freed.popitem()
            line = self._line.get(partition)
            while line and self._used.get(partition, 0) < self._units_max:
                key = line.popleft()
                if self._waiting.get(key) == partition:
                    del self._waiting[key]
                    yield key
