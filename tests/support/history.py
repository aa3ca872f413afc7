"""Legal histories of a zone for property tests: what was submitted, and a log that owners could have written."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as some

from treeward.schemas.events import Event, EventType

ZONE = "zone-a"
PODS = ("pod-1", "pod-2")
KEYS = ("vm.a", "vm.b", "thing.c")
AT = datetime(2026, 1, 1, tzinfo=UTC)

STEPS = some.lists(
    some.one_of(
        some.tuples(some.just("submit"), some.sampled_from(KEYS)),
        some.tuples(some.just("submit"), some.sampled_from(KEYS)),
        some.tuples(some.just("answer"), some.sampled_from(KEYS)),
        some.tuples(some.just("answer"), some.sampled_from(KEYS)),
        some.tuples(some.just("remove"), some.sampled_from(KEYS)),
        some.tuples(some.just("place"), some.sampled_from(KEYS)),
        some.tuples(some.just("crash"), some.sampled_from(KEYS)),
        some.tuples(some.just("hand_off"), some.sampled_from(KEYS)),
        some.tuples(some.just("claim"), some.sampled_from((*PODS, ZONE))),
    ),
    max_size=60,
)


@dataclass
class Resource:
    """The truth about one resource."""

    pod: str | None = None
    began: int = 0
    answered: int = 0
    tickets: list[int] = field(default_factory=list)


class History:
    """Makes the log of a list of steps; a step that is not legal at its time does nothing."""

    def __init__(self, steps: list[tuple[str, str]]) -> None:
        self.log: list[tuple[int, Event]] = []
        self.work: list[tuple[int, str]] = []
        self.resources = {key: Resource() for key in KEYS}
        self.epochs = dict.fromkeys((*PODS, ZONE), 0)
        self.work_at: list[int] = []
        """How much of WORK was there when each event was appended."""
        for place in (ZONE, *PODS):
            self._claim(place)
        for what, target in steps:
            getattr(self, f"_{what}")(target)

    @property
    def last(self) -> int:
        """The last position of the log."""
        return len(self.log)

    def life(self, key: str) -> int:
        """The present life of a resource."""
        resource = self.resources[key]
        if resource.pod is None:
            return self.epochs[ZONE]
        return max(resource.began, self.epochs[resource.pod])

    def last_of(self, key: str, up_to: int) -> tuple[int, Event | None]:
        """The last event of a resource as a replica sees it that has got so far."""
        found = [(position, event) for position, event in self.log[:up_to] if event.key == key]
        return found[-1] if found else (0, None)

    def _append(self, key: str, type_: EventType, **fields: Any) -> int:
        kind, _, id_ = key.partition(".")
        self.log.append((self.last + 1, Event(type=type_, zone=ZONE, kind=kind, id=id_, at=AT, **fields)))
        self.work_at.append(len(self.work))
        return self.last

    def _claim(self, place: str) -> None:
        key = f"zone.{ZONE}" if place == ZONE else f"pod.{place}"
        self.epochs[place] = self._append(key, EventType.CLAIMED, life=self.epochs[place], definition={})

    def _submit(self, key: str) -> None:
        self.work.append((len(self.work) + 1, key))
        self.resources[key].tickets.append(len(self.work))

    def _answer(self, key: str, *, removed: bool = False) -> None:
        resource = self.resources[key]
        if not resource.tickets:
            return
        life = self.life(key)
        resource.answered = resource.tickets.pop(0)
        if removed:
            resource.pod = None
        self._append(
            key, EventType.COMPLETED, life=life, answered=resource.answered, ticket=resource.answered,
            pod=resource.pod, host=resource.pod, removed=removed,
        )  # fmt: skip

    def _remove(self, key: str) -> None:
        if self.resources[key].pod is not None:
            self._answer(key, removed=True)

    def _place(self, key: str) -> None:
        resource = self.resources[key]
        if resource.pod is not None or not resource.tickets:
            return
        life = self.life(key)
        resource.pod = PODS[len(self.log) % 2]
        resource.began = self._append(
            key,
            EventType.PLACED,
            life=life,
            answered=resource.answered,
            pod=resource.pod,
            host=resource.pod,
            reserves={},
        )

    def _crash(self, key: str) -> None:
        resource = self.resources[key]
        if resource.pod is None or not resource.tickets:
            return
        resource.began = self._append(
            key, EventType.CRASHED, life=self.life(key), answered=resource.answered, pod=resource.pod,
            host=resource.pod, ticket=resource.tickets[0], attempts=1,
        )  # fmt: skip

    def _hand_off(self, key: str) -> None:
        resource = self.resources[key]
        if resource.pod is None:
            return
        life = self.life(key)
        resource.pod = None
        self._append(key, EventType.HANDED_OFF, life=life, answered=resource.answered)


histories = STEPS.map(History)
