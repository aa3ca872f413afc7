"""Who is where: hosts with what is left of them, and every placed resource with what it takes. Pure book-keeping."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from treeward.supervision.anti_affinity import Members
from treeward.supervision.need import NOTHING, Demand, Need, demand_of, texts

ALIKE_MAX = 10_000


@dataclass(slots=True)
class Host:
    """A host as the allocator sees it."""

    name: str
    pod: str
    capacity: Demand
    labels: dict[str, str]
    free: Demand
    """What is left; negative if its capacity was lowered below what is on it."""
    closed: bool = False
    """It is being drained or isolated: nothing new goes there."""
    isolated: bool = False
    """It is fenced: what left it does not come back either."""

    @property
    def used(self) -> Demand:
        """What was given away."""
        return self.capacity.minus(self.free)

    def has(self, labels: Iterable[tuple[str, str]]) -> bool:
        """Whether it has all these labels."""
        return all(self.labels.get(name) == value for name, value in labels)


class Placed(NamedTuple):
    """What the fold knows of a placed resource."""

    pod: str
    host: str
    need: Need
    leaving: bool = False
    """It is not there: the room is kept for it, until it is placed or it is where it was after all."""


@dataclass(slots=True)
class Places:
    """The fold of who is where: hosts with what is used of them, and every placed resource."""

    hosts: dict[str, Host] = field(default_factory=dict)
    placed: dict[str, Placed] = field(default_factory=dict)
    on_host: dict[str, dict[str, None]] = field(default_factory=dict)
    """Host -> what is on it, or has room kept there."""
    early: dict[str, Demand] = field(default_factory=dict)
    """Used on hosts whose definition has not been read yet."""
    spread: dict[tuple[str, str], int] = field(default_factory=dict)
    """(group, pod or host) -> members there."""
    shelves: dict[tuple[bool, str], list[tuple[int, int, str]]] = field(default_factory=dict)
    """(has GPUs, pod) -> its hosts as (free CPU, free memory, name), sorted: the first that fits is the best fit."""
    pod_capacity: dict[str, Demand] = field(default_factory=dict)
    pod_used: dict[str, Demand] = field(default_factory=dict)
    members: Members = field(default_factory=Members)
    """Of the groups that are to be kept apart."""
    alike: dict[Placed, Placed] = field(default_factory=dict, compare=False)
    """Those on one host that take the same of it share one value: there may be a million."""

    def put(self, key: str, place: Placed) -> None:
        """The resource is now here and takes that much, whatever was known of it."""
        self.drop(key)
        self.placed[key] = self._share(place)
        self.on_host.setdefault(place.host, {})[key] = None
        self._use(place, 1)

    def _share(self, place: Placed) -> Placed:
        if len(self.alike) > ALIKE_MAX:
            self.alike.clear()
        return self.alike.setdefault(place, place)

    def drop(self, key: str) -> bool:
        """The resource is nowhere any more; whether that frees anything."""
        place = self.placed.pop(key, None)
        if place is None:
            return False
        there = self.on_host[place.host]
        del there[key]
        if not there:
            del self.on_host[place.host]
        self._use(place, -1)
        return place.need.demand != NOTHING or place.need.apart is not None

    @contextmanager
    def without(self, place: Placed) -> Iterator[None]:
        """As if it were not there, for the rules of its group: what moves is not in its own way."""
        apart = place.need.apart
        if apart is None:
            yield
            return
        self.members.count(apart, place.pod, place.host, -1)
        try:
            yield
        finally:
            self.members.count(apart, place.pod, place.host, 1)

    def _use(self, place: Placed, sign: int) -> None:
        host, need = self.hosts.get(place.host), place.need
        delta = need.demand if sign > 0 else NOTHING.minus(need.demand)
        if host is not None:
            self._unshelve(host)
            host.free = host.free.minus(delta)
            self._shelve(host)
        else:
            self.early[place.host] = self.early.get(place.host, NOTHING).plus(delta)
        self.pod_used[place.pod] = self.pod_used.get(place.pod, NOTHING).plus(delta)
        if need.apart is not None:
            self.members.count(need.apart, place.pod, place.host, sign)
        if need.spread is not None:
            for domain in (f"pod/{place.pod}", f"host/{place.host}"):
                at = (need.spread, domain)
                count = self.spread.get(at, 0) + sign
                if count:
                    self.spread[at] = count
                else:
                    self.spread.pop(at, None)

    def define_host(self, name: str, pod: str, definition: dict[str, Any]) -> None:
        """A host exists with this capacity; what was read before of those on it counts."""
        before = self.hosts.get(name)
        used = before.used if before is not None else self.early.pop(name, NOTHING)
        closed = before.closed if before is not None else False
        isolated = before.isolated if before is not None else False
        if before is not None:
            self._unshelve(before)
            self.pod_capacity[before.pod] = self.pod_capacity[before.pod].minus(before.capacity)
        capacity = demand_of("host", definition)
        self.pod_capacity[pod] = self.pod_capacity.get(pod, NOTHING).plus(capacity)
        host = Host(name, pod, capacity, texts(definition.get("labels")), capacity.minus(used), closed, isolated)
        self.hosts[name] = host
        self._shelve(host)

    def remove_host(self, name: str) -> None:
        """The host is gone; what is still said to be on it is kept in mind."""
        host = self.hosts.pop(name, None)
        if host is not None:
            self._unshelve(host)
            self.pod_capacity[host.pod] = self.pod_capacity[host.pod].minus(host.capacity)
        if host is not None and host.used != NOTHING:
            self.early[name] = host.used

    def isolated(self) -> int:
        """How many hosts are fenced."""
        return sum(host.isolated for host in self.hosts.values())

    def _shelve(self, host: Host) -> None:
        shelf = self.shelves.setdefault((host.capacity.gpu_milli > 0, host.pod), [])
        insort(shelf, (host.free.cpu_milli, host.free.memory_mib, host.name))

    def _unshelve(self, host: Host) -> None:
        shelf = self.shelves[host.capacity.gpu_milli > 0, host.pod]
        del shelf[bisect_left(shelf, (host.free.cpu_milli, host.free.memory_mib, host.name))]

    def load(self, pod: str) -> int:
        """How full a pod is, in 64ths of what is scarcest in it: coarse, so that small ones do not make it hop."""
        used = self.pod_used.get(pod, NOTHING)
        capacity = self.pod_capacity.get(pod, NOTHING)
        return max((64 * taken // offered for taken, offered in zip(used, capacity, strict=True) if offered), default=0)
