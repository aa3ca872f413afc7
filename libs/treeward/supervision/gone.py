"""Addresses at which nothing exists any more: forgotten once WORK begins above what was answered for them (S9)."""

from heapq import heappop, heappush

from treeward.schemas.events import Event, EventType
from treeward.supervision.knowledge import pod_of


class Gone:
    """What can be forgotten, by the last ticket answered."""

    def __init__(self) -> None:
        self._answered: dict[str, int] = {}
        self._order: list[tuple[int, str]] = []
        """The same as a heap; what `_answered` does not say any more is skipped."""
        self._said: dict[str, int] = {}
        """Of whom our own last word has not been read yet, and the ticket that it is about."""

    def __contains__(self, key: str) -> bool:
        """Whether anything is remembered of it that its next event may change."""
        return key in self._answered or key in self._said

    def on_event(self, event: Event) -> None:
        """Only the last word about an address counts: what was answered since must not be forgotten.

        The log may be read long after the receipt of what we appended: until that word comes by, earlier ones are void.
        """
        said = self._said.get(event.key)
        if said is not None:
            if (event.ticket or 0) < said:
                return
            del self._said[event.key]
        last_word = event.is_outcome or event.type is EventType.DRIFTED
        forgettable = not event.existed and not event.paused and event.tells_of_up_to is not None
        if last_word and pod_of(event) is None and forgettable:
            up_to = max(event.answered, event.tells_of_up_to or 0)
            self._answered[event.key] = up_to
            heappush(self._order, (up_to, event.key))
        else:
            self._answered.pop(event.key, None)

    def keep(self, key: str, ticket: int) -> None:
        """Something is being said of it, about this ticket: not to be forgotten until that was read."""
        self._said[key] = ticket
        self._answered.pop(key, None)

    def below(self, work_first: int) -> list[tuple[str, int]]:
        """`(key, answered)` of all that WORK, which begins at `work_first`, cannot name any more; given out once."""
        found = []
        while self._order and self._order[0][0] < work_first:
            answered, key = heappop(self._order)
            if self._answered.get(key) == answered:
                del self._answered[key]
                found.append((key, answered))
        return found
