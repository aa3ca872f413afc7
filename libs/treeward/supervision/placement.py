"""Where a resource goes: free capacity, labels and spread over failure domains. Pure, and without a lock.

The zone supervisor alone allocates, from its fold of `placed`, outcomes and `removed` (DESIGN section 4).
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from treeward.supervision.anti_affinity import AntiAffinity, Members

AMOUNT_MAX = 2**62
"""No quantity is more: what a device says may be any number, and infinity is none."""
ALIKE_MAX = 10_000


class Demand(NamedTuple):
    """What a resource takes of its host: thousandths of a CPU and of a GPU, MiB, GiB."""

    cpu_milli: int = 0
    memory_mib: int = 0
    gpu_milli: int = 0
    disk_gib: int = 0

    def plus(self, other: "Demand") -> "Demand":
        """The sum."""
        return Demand(self[0] + other[0], self[1] + other[1], self[2] + other[2], self[3] + other[3])

    def minus(self, other: "Demand") -> "Demand":
        """The difference."""
        return Demand(self[0] - other[0], self[1] - other[1], self[2] - other[2], self[3] - other[3])

    def fits(self, free: "Demand") -> bool:
        """Whether `free` has room for it."""
        return self[0] <= free[0] and self[1] <= free[1] and self[2] <= free[2] and self[3] <= free[3]


NOTHING = Demand()


class Need(NamedTuple):
    """What a definition asks of a place."""

    demand: Demand
    requires: dict[str, str]
    spread: str | None
    apart: AntiAffinity | None = None

    @classmethod
    def of(cls, kind: str, definition: dict[str, Any] | None) -> "Need":
        """A definition may come from a device, which may say anything: what cannot be read asks for nothing."""
        spec = definition or {}
        spread = spec.get("spread")
        spread = spread if isinstance(spread, str) else None
        apart = AntiAffinity.of(spec.get("anti_affinity"))
        return cls(demand_of(kind, spec), texts(spec.get("requires")), spread, apart)


def texts(value: object) -> dict[str, str]:
    """Labels as they should be: texts by name."""
    if not isinstance(value, dict):
        return {}
    return {name: text for name, text in value.items() if isinstance(name, str) and isinstance(text, str)}


def amount(value: object, per: int = 1) -> int:
    """A quantity in whole parts; what is none counts as nothing."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= AMOUNT_MAX:
        return 0
    return round(value * per)


def demand_of(kind: str, definition: dict[str, Any] | None) -> Demand:
    """What a defined resource takes; also what a host offers."""
    if definition is None:
        return NOTHING
    if kind in ("vm", "host"):
        return Demand(
            amount(definition.get("cpus"), 1000),
            amount(definition.get("memory_mib")),
            amount(definition.get("gpus"), 1000),
            amount(definition.get("disk_gib")),
        )
    if kind == "volume":
        return Demand(disk_gib=amount(definition.get("size_gib")))
    return NOTHING


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


class Placed(NamedTuple):
    """What the fold knows of a placed resource."""

    pod: str
    host: str
    demand: Demand
    spread: str | None
    requires: dict[str, str] | None = None
    leaving: bool = False
    """It is not there: the room is kept for it, until it is placed or it is where it was after all."""
    apart: AntiAffinity | None = None


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
        if place.requires is not None:  # a dictionary: it is not looked up
            return place
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
        return place.demand != NOTHING or place.apart is not None

    @contextmanager
    def without(self, place: Placed) -> Iterator[None]:
        """As if it were not there, for the rules of its group: what moves is not in its own way."""
        if place.apart is not None:
            self.members.count(place.apart, place.pod, place.host, -1)
        try:
            yield
        finally:
            if place.apart is not None:
                self.members.count(place.apart, place.pod, place.host, 1)

    def _use(self, place: Placed, sign: int) -> None:
        host = self.hosts.get(place.host)
        delta = place.demand if sign > 0 else NOTHING.minus(place.demand)
        if host is not None:
            self._unshelve(host)
            host.free = host.free.minus(delta)
            self._shelve(host)
        else:
            self.early[place.host] = self.early.get(place.host, NOTHING).plus(delta)
        self.pod_used[place.pod] = self.pod_used.get(place.pod, NOTHING).plus(delta)
        if place.apart is not None:
            self.members.count(place.apart, place.pod, place.host, sign)
        if place.spread is not None:
            for domain in (f"pod/{place.pod}", f"host/{place.host}"):
                at = (place.spread, domain)
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


def decide_placement(
    places: Places,
    demand: Demand,
    *,
    requires: dict[str, str],
    spread: str | None,
    apart: AntiAffinity | None = None,
    named: str | None = None,
    avoid: str | None = None,
    pods: Iterable[str] | None = None,
) -> Host | None:
    """The host for a new resource: fits, has the labels, and keeps a spread group apart (pods first, then hosts).

    `apart`: where its group allows it, and there with the fewest others. Without a group the emptiest pod is taken, so
    that no failure domain carries all, and in it the fullest host that still fits (best fit by CPU, then memory), so
    that large requests find room later; a resource that wants no GPU leaves hosts with GPUs for those that do. `named`:
    only that host; `avoid`: not that one (a move); `pods`: only in these. None: nothing fits now.
    """
    allowed = None if pods is None else set(pods)
    if spread is None and named is None and apart is None:
        return _best_fit(places, demand, requires=requires, avoid=avoid, allowed=allowed)
    loads = {pod: places.load(pod) for pod in places.pod_capacity}
    best: tuple[tuple[tuple[int, int], tuple[int, int], bool, int, int, int, str], Host] | None = None
    candidates = places.hosts.values() if named is None else [h for h in (places.hosts.get(named),) if h is not None]
    cpu, memory, gpu, disk = demand
    for host in candidates:
        free = host.free
        if cpu > free[0] or memory > free[1] or gpu > free[2] or disk > free[3] or host.closed:
            continue
        if host.name == avoid or (allowed is not None and host.pod not in allowed):
            continue
        if requires and any(host.labels.get(name) != value for name, value in requires.items()):
            continue
        crowd = near = (0, 0)
        if apart is not None:
            if not places.members.allow(apart, host.pod, host.name):
                continue
            crowd = places.members.crowd(apart, host.pod, host.name)
        if spread is not None:
            near = (
                places.spread.get((spread, f"pod/{host.pod}"), 0),
                places.spread.get((spread, f"host/{host.name}"), 0),
            )
        wasted_gpu = host.capacity.gpu_milli > 0 and demand.gpu_milli == 0
        rank = (
            crowd,
            near,
            wasted_gpu,
            loads[host.pod],
            free.cpu_milli - demand.cpu_milli,
            free.memory_mib - demand.memory_mib,
            host.name,
        )
        if best is None or rank < best[0]:
            best = (rank, host)
    return best[1] if best is not None else None


def _best_fit(
    places: Places, demand: Demand, *, requires: dict[str, str], avoid: str | None, allowed: set[str] | None
) -> Host | None:
    """The same without a group to spread: by sorted shelves, so that a thousand hosts cost no more than ten."""
    by_load = sorted((places.load(pod), pod) for pod in places.pod_capacity if allowed is None or pod in allowed)
    for has_gpu in (False, True) if demand.gpu_milli == 0 else (True,):
        for _, pod in by_load:
            shelf = places.shelves.get((has_gpu, pod), [])
            for index in range(bisect_left(shelf, (demand.cpu_milli,)), len(shelf)):
                host = places.hosts[shelf[index][2]]
                if host.closed or host.name == avoid or not demand.fits(host.free):
                    continue
                if not requires or all(host.labels.get(name) == value for name, value in requires.items()):
                    return host
    return None


CLOSED_SHOWN_MAX = 3


def fits_nowhere(
    places: Places,
    demand: Demand,
    requires: dict[str, str],
    pods: Iterable[str],
    *,
    avoid: str | None = None,
    apart: AntiAffinity | None = None,
) -> str:
    """Why a resource waits for a place, as one sentence; `pods` and `avoid` as they were when it was looked for."""
    hosts = [
        host
        for host in places.hosts.values()
        if all(host.labels.get(name) == value for name, value in requires.items())
    ]
    if not places.hosts:
        return "no host is defined in the zone"
    if not hosts:
        return f"no host has the labels {', '.join(f'{name}={value}' for name, value in requires.items())}"
    if not any(demand.fits(host.capacity) for host in hosts):
        return f"larger than every host: needs {_words(demand)}"
    allowed = set(pods)
    fitting = [host for host in hosts if host.name != avoid and demand.fits(host.free)]
    if apart is not None and any(not host.closed and host.pod in allowed for host in fitting):
        return f"where there is room for {_words(demand)}, its group {apart.group!r} does not allow another"
    closed = [host for host in fitting if host.closed or host.pod not in allowed]
    if closed:
        names = ", ".join(f"{host.name} ({_why_closed(host)})" for host in closed[:CLOSED_SHOWN_MAX])
        more = f" and {len(closed) - CLOSED_SHOWN_MAX} more" if len(closed) > CLOSED_SHOWN_MAX else ""
        return f"the hosts that have room for {_words(demand)} are closed: {names}{more}"
    return f"no host has room for {_words(demand)} now"


def _why_closed(host: Host) -> str:
    if not host.closed:
        return f"pod {host.pod} is drained or isolated"
    return "isolated" if host.isolated else "drained"


def _words(demand: Demand) -> str:
    parts = [f"{demand.cpu_milli / 1000:g} cpus", f"{demand.memory_mib} MiB"]
    if demand.gpu_milli:
        parts.append(f"{demand.gpu_milli / 1000:g} gpus")
    if demand.disk_gib:
        parts.append(f"{demand.disk_gib} GiB of disk")
    return ", ".join(parts)
