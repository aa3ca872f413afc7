"""JetStream's streams as far as Treeward uses them: positions, guards, message ids, purges, one for each subject."""

from bisect import bisect_right
from collections.abc import Callable
from functools import lru_cache

from treeward.bus.interface import Draft, Guard, Refused, Since, Start, Stored, StreamState
from treeward.schemas.streams import StreamSpec

STALE_GUARD = Refused(10071, "wrong last sequence")


@lru_cache(maxsize=65536)
def matches(subject_filter: str, subject: str) -> bool:
    """NATS's wildcards: `*` is one token, a final `>` one or more."""
    wanted, found = subject_filter.split("."), subject.split(".")
    if wanted[-1] == ">":
        wanted = wanted[:-1]
        if len(found) <= len(wanted):
            return False
        found = found[: len(wanted)]
    return len(wanted) == len(found) and all(want in ("*", has) for want, has in zip(wanted, found, strict=True))


class Consumer:
    """What the server keeps for a reader: where it is, and how to reach it."""

    def __init__(self, subject_filter: str, send: Callable[[Stored], None], gone: Callable[[], None]) -> None:
        self.subject_filter = subject_filter
        self.send = send
        self.gone = gone
        """To be called when the stream was deleted."""


class Stream:
    """One stream; `everything` is what was ever stored, for those who judge the run."""

    def __init__(self, spec: StreamSpec, created_s: float) -> None:
        self.spec = spec
        self.created_s = created_s
        self.first = 1
        self.last = 0
        self.messages: dict[int, Stored] = {}
        self.everything: list[Stored] = []
        self.ids: dict[str, int] = {}
        self.consumers: list[Consumer] = []
        self._of_subject: dict[str, list[int]] = {}

    def state(self) -> StreamState:
        """What its leader says of it."""
        return StreamState(self.first, self.last, len(self.messages), self.created_s, self.spec.replicas)

    def append(
        self, draft: Draft, now_s: float, *, guard: Guard | None = None, message_id: str | None = None
    ) -> int | Refused:
        """Store a message, unless the guard is stale (looked at first, as one server does) or its id is known."""
        if guard is not None and self.last_of(guard.subject) != guard.position:
            return STALE_GUARD
        if message_id is not None and message_id in self.ids:
            return self.ids[message_id]
        headers = dict(draft.headers) if draft.headers else None
        if message_id is not None:
            headers = {"Nats-Msg-Id": message_id, **(headers or {})}
            self.ids[message_id] = self.last + 1
        return self.store(Stored(self.last + 1, draft.subject, draft.data, headers, now_s))

    def store(self, stored: Stored) -> int:
        """Store a message under the position that it has; tells the readers."""
        if not self.messages:
            self.first = stored.position
        self.last = stored.position
        self.messages[stored.position] = stored
        self.everything.append(stored)
        positions = self._of_subject.setdefault(stored.subject, [])
        positions.append(stored.position)
        if self.spec.per_subject_max:
            while len(positions) > self.spec.per_subject_max:
                del self.messages[positions.pop(0)]
            self.first = next(iter(self.messages))
        for consumer in self.consumers:
            if matches(consumer.subject_filter, stored.subject):
                consumer.send(stored)
        return stored.position

    def last_of(self, subject: str) -> int:
        """The last position of a subject; 0: none."""
        positions = self._of_subject.get(subject)
        return positions[-1] if positions else 0

    def last_matching(self, subject_filter: str, *, up_to: int | None = None) -> Stored | None:
        """The last message on a subject or wildcard, as a replica sees it that has got `up_to` a position."""
        best = 0
        for subject, positions in self._of_subject.items():
            if matches(subject_filter, subject):
                index = len(positions) if up_to is None else bisect_right(positions, up_to)
                if index:
                    best = max(best, positions[index - 1])
        return self.messages[best] if best else None

    def last_as_of(self, subject_filter: str, up_to: int) -> Stored | None:
        """The last message on a wildcard, as it was when `up_to` was the last position."""
        older = (each for each in reversed(self.everything) if each.position <= up_to)
        return next((each for each in older if matches(subject_filter, each.subject)), None)

    def begin(self, start: int | Start | Since, consumer: Consumer) -> list[Stored]:
        """Register a reader and return what it is to get first, in order of position."""
        self.consumers.append(consumer)
        if start is Start.NEW:
            return []
        if start is Start.LAST_PER_SUBJECT:
            lasts = [
                positions[-1]
                for subject, positions in self._of_subject.items()
                if positions and matches(consumer.subject_filter, subject)
            ]
            return [self.messages[position] for position in sorted(lasts)]
        if isinstance(start, Since):
            return [
                each
                for each in self.messages.values()
                if each.time_s >= start.time_s and matches(consumer.subject_filter, each.subject)
            ]
        assert isinstance(start, int)
        return [
            each
            for each in self.messages.values()
            if each.position >= start and matches(consumer.subject_filter, each.subject)
        ]

    def end(self, consumer: Consumer) -> None:
        """The reader is gone."""
        if consumer in self.consumers:
            self.consumers.remove(consumer)

    def purge(self, below: int, subject: str | None = None) -> list[Stored]:
        """Remove everything below a position, or only what is on one subject; returns what was removed."""
        removed = []
        for position in [each for each in self.messages if each < below]:
            if subject is not None and self.messages[position].subject != subject:
                continue
            stored = self.messages.pop(position)
            removed.append(stored)
            positions = self._of_subject[stored.subject]
            positions.remove(position)
            if not positions:
                del self._of_subject[stored.subject]
        if self.messages:
            self.first = next(iter(self.messages))
        else:
            self.first = max(self.first, min(below, self.last + 1))
        return removed

    def wipe(self, now_s: float) -> None:
        """A memory stream after its server was restarted: made anew, with nothing in it."""
        self.messages.clear()
        self._of_subject.clear()
        self.ids.clear()
        self.first, self.last = 1, 0
        self.created_s = now_s
