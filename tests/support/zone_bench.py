"""A zone owner on a bench, and pods that work beside it."""

from dataclasses import dataclass, field

from tests.support.owner_bench import OwnerBench

from treeward.schemas.events import DeviceOutcome, Event, EventType
from treeward.supervision.limits import Limits
from treeward.supervision.zone_owner import ZoneOwner

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
    answered: int = 0
    tickets: dict[int, str] = field(default_factory=dict)


class Bench(OwnerBench[ZoneOwner]):
    """Two hosts with room for two VMs each, three VMs with eight units each."""

    def __init__(self) -> None:
        self.places = {
            key: Place(tickets={number * 3 + index: op for number, op in enumerate(OPERATIONS)})
            for index, key in enumerate(KEYS, 1)
        }
        units = {key: place.tickets for key, place in self.places.items()}
        super().__init__(ZoneOwner("zone-a", EPOCH, LIMITS), EPOCH, LIMITS, units)
        self.created_with = {"cpus": 1}
        self.read_up_to = EPOCH
        for position, pod in enumerate(sorted(set(HOSTS.values())), 1):
            self.owner.on_event(position, self.event(f"pod.{pod}", EventType.COMPLETED, life=1, definition={}), 0.0)
        for position, (host, pod) in enumerate(HOSTS.items(), 3):
            definition = {"pod": pod, "cpus": CPUS, "memory_mib": 1 << 20}
            defined = self.event(f"host.{host}", EventType.COMPLETED, life=1, pod=pod, host=host, definition=definition)
            self.owner.on_event(position, defined, 0.0)
        self.owner.on_fold_complete()
        self.collect()

    def as_seen(self, key: str, up_to: int) -> tuple[int, int] | None:
        answered, host = 0, None
        for position, event in self.log:
            if event.key == key and position <= up_to:
                answered, host = event.answered, event.host
        return (EPOCH, answered) if host is None else None

    def check_stored(self, event: Event) -> None:
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
            place.host = event.host
        elif event.type is EventType.HANDED_OFF:
            place.host = None
        elif event.pod is None:
            assert place.host is None or event.removed, f"{event.type} by the zone for what a pod owns"
            place.host = None
        for host in HOSTS:
            assert sum(each.host == host for each in self.places.values()) <= CPUS, f"{host} carries too much"

    def pod(self, key: str, hands_off: bool) -> None:
        """The owner of the pod where it is answers its next unit, or lets it go."""
        place = self.places[key]
        left = [ticket for ticket in place.tickets if ticket > place.answered]
        if place.host is None or not left:
            return
        if hands_off:
            last = DeviceOutcome(ticket=left[0], applied=True) if left[0] % 2 else None
            definition = {"cpus": 1, "memory_mib": 1}
            event = self.event(
                key, EventType.HANDED_OFF, life=1, answered=place.answered, existed=True, definition=definition,
                left=place.host, ticket=left[0], last=last,
            )  # fmt: skip
        else:
            removed = place.tickets[left[0]] != "create"
            where = {} if removed else {"pod": HOSTS[place.host], "host": place.host, "definition": {"cpus": 1}}
            event = self.event(
                key, EventType.COMPLETED, life=1, answered=left[0], ticket=left[0], removed=removed, **where
            )
        self.store(event)

    def read(self) -> None:
        """The owner reads the next event of the log."""
        if self.read_up_to < self.last:
            position, event = self.log[self.read_up_to - EPOCH]
            self.read_up_to = position
            self.owner.on_event(position, event.model_copy(deep=True), self.now_s)
            self.collect()

    def purge(self) -> None:
        """WORK begins at the first ticket that has no outcome."""
        left = [ticket for place in self.places.values() for ticket in place.tickets if ticket > place.answered]
        self.owner.on_work_first(min(left, default=100), self.now_s)
        self.collect()
