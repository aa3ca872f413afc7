"""An owner on a bench: an honest log, replicas that lag, an unreliable mailbox, and an eye on all that it says."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from treeward.schemas.events import Event, EventType, Outcome
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.effects import Append, Effect, Fetch, GiveUp
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner
from treeward.supervision.zone_owner import ZoneOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
Owner = TypeVar("Owner", bound=PodOwner | ZoneOwner)


class OwnerBench(ABC, Generic[Owner]):
    """One owner from its claim on; what it appends is stored, and its messages arrive, when the test says so."""

    def __init__(self, owner: Owner, epoch: int, limits: Limits, units: Mapping[str, Mapping[int, str]]) -> None:
        self.now_s = 0.0
        self.owner = owner
        self.epoch = epoch
        self.begins_at = epoch
        """The log is empty up to here."""
        self.limits = limits
        self.units = units
        """key -> ticket -> operation: what is in WORK."""
        self.created_with: dict[str, Any] | None = None
        """The spec of a create."""
        self.log: list[tuple[int, Event]] = []
        self.appends: list[Append] = []
        self.fetches: list[Fetch] = []
        self.marked: dict[int, Mark] = {}
        self.gave_up = False

    # the truth

    @property
    def last(self) -> int:
        """The last position of the log."""
        return self.begins_at + len(self.log)

    @abstractmethod
    def as_seen(self, key: str, up_to: int) -> tuple[int, int] | None:
        """(life, answered) for a dispatcher that has read the log up to there; None: it sends to somebody else."""

    @abstractmethod
    def check_stored(self, event: Event) -> None:
        """What must hold of an event before it is stored; called once for each, in the order of the log."""

    def event(self, key: str, type_: EventType, **fields: Any) -> Event:
        kind, _, id_ = key.partition(".")
        return Event(type=type_, zone="zone-a", kind=kind, id=id_, at=AT, **fields)

    def store(self, event: Event) -> int:
        self.check_stored(event)
        self.log.append((self.last + 1, event))
        return self.last

    # what may happen

    def carry_out(self, steps: Iterable[tuple[object, ...]]) -> None:
        """Each step is the name of a method of what may happen, and its arguments."""
        for what, *arguments in steps:
            getattr(self, str(what))(*arguments)

    def send(self, key: str, index: int, behind: int) -> None:
        """A dispatcher that has read the log up to some time ago sends one of the first units that it knows."""
        seen = self.as_seen(key, max(self.epoch, self.last - behind))
        if seen is None:
            return
        life, answered = seen
        left = [ticket for ticket in self.units[key] if ticket > answered]
        if not left:
            return
        index %= min(len(left), self.limits.window)
        ticket = left[index]
        operation = self.units[key][ticket]
        self.deliver(
            key,
            Message(
                epoch=self.epoch, life=life, ticket=ticket, previous=left[index - 1] if index else 0,
                operation=operation, spec=self.created_with if operation == "create" else None,
                mark=self.marked.get(ticket),
            ),
        )  # fmt: skip

    def mark(self, key: str, index: int) -> None:
        """Somebody cancels a unit."""
        tickets = list(self.units[key])
        self.marked.setdefault(tickets[index % len(tickets)], Mark(outcome=Outcome.CANCELLED, reason="on the bench"))

    def deliver(self, key: str, message: Message) -> None:
        """A message comes out of the mailbox."""
        self.owner.on_message(key, message, self.now_s)
        self.collect()

    def acknowledge(self) -> None:
        """The oldest append is stored, and its owner hears so."""
        if self.appends:
            append = self.appends.pop(0)
            position = 0
            for event in append.events:
                position = self.store(event.model_copy(deep=True))
            self.owner.on_appended(append.token, position, self.now_s)
            self.collect()

    def fetch(self, freshness: int) -> None:
        """A replica that has what was asked for, and perhaps not all, answers the oldest fetch."""
        if self.fetches:
            key, at_least = self.fetches.pop(0)
            up_to = at_least + freshness % max(1, self.last - at_least + 1)
            found = [(position, event) for position, event in self.log if event.key == key and position <= up_to]
            position, event = found[-1] if found else (0, None)
            self.owner.on_fetched(key, position, event.model_copy(deep=True) if event is not None else None, self.now_s)
            self.collect()

    def tick(self, seconds: float) -> None:
        """Time passes, in one step."""
        self.now_s += seconds
        self.owner.tick(self.now_s)
        self.collect()

    # the eye

    def collect(self) -> None:
        effects, self.owner.effects = self.owner.effects, []
        for effect in effects:
            assert not self.gave_up, f"{effect} after giving up"
            self.on_effect(effect)
            match effect:
                case Append():
                    self.appends.append(effect)
                case Fetch():
                    self.fetches.append(effect)
                case GiveUp():
                    self.gave_up = True

    def on_effect(self, effect: Effect) -> None:
        """What else an owner of this sort asks for; called before the effect is taken."""
