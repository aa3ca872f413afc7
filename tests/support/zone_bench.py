"""A zone owner on a bench: an honest log with pods that work beside it, an unreliable mailbox, and an eye on it."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from treeward.schemas.events import DeviceOutcome, Event, EventType, Outcome
from treeward.schemas.mailbox import Mark, Message
from treeward.supervision.effects import Append, Fetch, GiveUp
from treeward.supervision.limits import Limits
from treeward.supervision.zone_owner import ZoneOwner

AT = datetime(2026, 1, 1, tzinfo=UTC)
EPOCH = 5
KEYS = ("vm.a", "vm.b", "vm.c")
HOSTS = {"host-1": "pod-1", "host-2": "pod-2"}
CPUS = 2
OPERATIONS = ("start", "create", "stop", "destroy", "create", "stop", "destroy", "create")
LIMITS = Limits(window=3, idle_row_s=2.0)


@dataclass
class Place:
    """The truth about one resource."""

    host: str | None = None
    exists: bool = False
    came: bool = False
    answered: int = 0
    position: int = 0
    tickets: dict[int, str] = field(default_factory=dict)


class Bench:
    """Two hosts with room for two VMs each, three VMs with eight units each."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.owner = ZoneOwner("zone-a", EPOCH, LIMITS)
        self.log: list[tuple[int, Event]] = []
        self.read_up_to = EPOCH
        self.appends: list[Append] = []
        self.fetches: list[Fetch] = []
        self.marked: dict[int, Mark] = {}
        self.places = {
            key: Place(tickets={number * 3 + index: op for number, op in enumerate(OPERATIONS)})
            for index, key in enumerate(KEYS, 1)
        }
        self.gave_up = False
        for position, pod in enumerate(sorted(set(HOSTS.values())), 1):
            self.owner.on_event(position, self._event(f"pod.{pod}", EventType.COMPLETED, definition={}), 0.0)
        for position, (host, pod) in enumerate(HOSTS.items(), 3):
            definition = {"pod": pod, "cpus": CPUS, "memory_mib": 1 << 20}
            event = self._event(f"host.{host}", EventType.COMPLETED, pod=pod, host=host, definition=definition)
            self.owner.on_event(position, event, 0.0)
        self.owner.on_fold_complete()
        self._collect()

    @property
    def last(self) -> int:
        """The last position of the log."""
        return EPOCH + len(self.log)

    def _event(self, key: str, type_: EventType, **fields: Any) -> Event:
        kind, _, id_ = key.partition(".")
        return Event(type=type_, zone="zone-a", kind=kind, id=id_, at=AT, life=1, **fields)

    def _log(self, event: Event) -> int:
        place = self.places[event.key]
        if event.is_outcome:
            assert event.ticket is not None
            assert event.ticket > place.answered, f"{event.key}: {event.type} of {event.ticket} after {place.answered}"
            place.answered = event.ticket
        # What lies below the beginning of WORK counts as answered, also if it was another's (PROTOCOL S4).
        left = min((ticket for ticket in place.tickets if ticket > place.answered), default=event.answered + 1)
        assert place.answered <= event.answered < left, f"{event.type} says {event.answered}, not {place.answered}"
        if event.type is EventType.PLACED:
            assert place.host is None, f"{event.key} is placed on {event.host} while it is on {place.host}"
            place.host, place.came = event.host, False
        elif event.type is EventType.HANDED_OFF:
            place.host, place.came = None, True
        elif event.pod is None:
            assert place.host is None or event.removed, f"{event.type} by the zone for what a pod owns"
            place.host = None
            place.exists = place.exists and not event.removed
        for host in HOSTS:
            assert sum(each.host == host for each in self.places.values()) <= CPUS, f"{host} carries too much"
        place.position = self.last + 1
        self.log.append((self.last + 1, event))
        return self.last

    # what may happen

    def send(self, key: str, index: int, behind: int) -> None:
        """A dispatcher that has read the log up to some time ago sends a unit of what it takes as unplaced."""
        answered, host = 0, None
        for position, event in self.log:
            if event.key == key and position <= max(EPOCH, self.last - behind):
                answered, host = event.answered, event.host
        left = [ticket for ticket in self.places[key].tickets if ticket > answered]
        if host is not None or not left:
            return
        index %= min(len(left), LIMITS.window)
        ticket = left[index]
        operation = self.places[key].tickets[ticket]
        message = Message(
            epoch=EPOCH, life=EPOCH, ticket=ticket, previous=left[index - 1] if index else 0,
            operation=operation, spec={"cpus": 1} if operation == "create" else None, mark=self.marked.get(ticket),
        )  # fmt: skip
        self.owner.on_message(key, message, self.now_s)
        self._collect()

    def mark(self, key: str, index: int) -> None:
        """Somebody cancels a unit."""
        tickets = list(self.places[key].tickets)
        self.marked.setdefault(tickets[index % len(tickets)], Mark(outcome=Outcome.CANCELLED, reason="on the bench"))

    def pod(self, key: str, hands_off: bool) -> None:
        """The owner of the pod where it is answers its next unit, or lets it go."""
        place = self.places[key]
        left = [ticket for ticket in place.tickets if ticket > place.answered]
        if place.host is None or not left:
            return
        if hands_off:
            last = DeviceOutcome(ticket=left[0], applied=True) if left[0] % 2 else None
            definition = {"cpus": 1, "memory_mib": 1}
            event = self._event(
                key, EventType.HANDED_OFF, answered=place.answered, existed=True, definition=definition,
                left=place.host, ticket=left[0], last=last,
            )  # fmt: skip
        else:
            removed = place.tickets[left[0]] != "create"
            where = {} if removed else {"pod": HOSTS[place.host], "host": place.host, "definition": {"cpus": 1}}
            event = self._event(key, EventType.COMPLETED, answered=left[0], ticket=left[0], removed=removed, **where)
        self._log(event)

    def acknowledge(self) -> None:
        """The oldest append is stored, and its owner hears so."""
        if self.appends:
            append = self.appends.pop(0)
            position = 0
            for event in append.events:
                position = self._log(event.model_copy(deep=True))
            self.owner.on_appended(append.token, position, self.now_s)
            self._collect()

    def read(self) -> None:
        """The owner reads the next event of the log."""
        if self.read_up_to < self.last:
            position, event = self.log[self.read_up_to - EPOCH]
            self.read_up_to = position
            self.owner.on_event(position, event.model_copy(deep=True), self.now_s)
            self._collect()

    def fetch(self, freshness: int) -> None:
        """A replica that has what was asked for, and perhaps not all, answers the oldest fetch."""
        if self.fetches:
            key, at_least = self.fetches.pop(0)
            up_to = at_least + freshness % max(1, self.last - at_least + 1)
            found = [(position, event) for position, event in self.log if event.key == key and position <= up_to]
            position, event = found[-1] if found else (0, None)
            self.owner.on_fetched(key, position, event.model_copy(deep=True) if event is not None else None, self.now_s)
            self._collect()

    def purge(self) -> None:
        """WORK begins at the first ticket that has no outcome."""
        left = [ticket for place in self.places.values() for ticket in place.tickets if ticket > place.answered]
        self.owner.on_work_first(min(left, default=100), self.now_s)
        self._collect()

    def tick(self, seconds: float) -> None:
        """Time passes."""
        self.now_s += seconds
        self.owner.tick(self.now_s)
        self._collect()

    def _collect(self) -> None:
        effects, self.owner.effects = self.owner.effects, []
        for effect in effects:
            assert not self.gave_up, f"{effect} after giving up"
            match effect:
                case Append():
                    self.appends.append(effect)
                case Fetch():
                    self.fetches.append(effect)
                case GiveUp():
                    self.gave_up = True
