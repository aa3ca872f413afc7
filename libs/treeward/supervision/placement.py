"""Where a resource goes: free capacity, labels and spread over failure domains. Pure, and without a lock.

The zone supervisor alone allocates, from its fold of `placed`, outcomes and `removed` (DESIGN section 4).
"""

from bisect import bisect_left
from collections.abc import Iterable, Set

from treeward.supervision.need import Demand, Need
from treeward.supervision.places import Host, Places

Rank = tuple[tuple[int, int], tuple[int, int], bool, int, int, int, str]
CLOSED_SHOWN_MAX = 3


def decide_placement(
    places: Places,
    need: Need,
    *,
    named: str | None = None,
    avoid: Set[str] = frozenset(),
    pods: Iterable[str] | None = None,
) -> Host | None:
    """The host for a new resource: fits, has the labels, and keeps a spread group apart (pods first, then hosts).

    One that is to be apart from its group goes where that allows it, and there with the fewest others. Without a group
    the emptiest pod is taken, so that no failure domain carries all, and in it the fullest host that still fits (best
    fit by CPU, then memory), so that large requests find room later; a resource that wants no GPU leaves hosts with
    GPUs for those that do. `named`: only that host; `avoid`: none of these (a move); `pods`: only in these. None:
    nothing fits now.
    """
    allowed = set(places.pod_capacity if pods is None else pods)
    if need.spread is None and need.apart is None and named is None:
        return _best_fit(places, need, avoid=avoid, allowed=allowed)
    candidates = places.hosts.values() if named is None else [places.hosts[named]] if named in places.hosts else []
    fitting = [
        host
        for host in candidates
        if host.name not in avoid
        and host.pod in allowed
        and _takes(host, need)
        and (need.apart is None or places.members.allow(need.apart, host.pod, host.name))
    ]
    loads = {pod: places.load(pod) for pod in places.pod_capacity}
    return min(fitting, key=lambda host: _rank(places, need, host, loads[host.pod]), default=None)


def _takes(host: Host, need: Need) -> bool:
    """Whether it is open, has room and the labels."""
    return not host.closed and need.demand.fits(host.free) and (not need.requires or host.has(need.requires))


def _rank(places: Places, need: Need, host: Host, load: int) -> Rank:
    """What makes one host better than another that fits as well: the lower, the better."""
    crowd = near = (0, 0)
    if need.apart is not None:
        crowd = places.members.crowd(need.apart, host.pod, host.name)
    if need.spread is not None:
        near = (
            places.spread.get((need.spread, f"pod/{host.pod}"), 0),
            places.spread.get((need.spread, f"host/{host.name}"), 0),
        )
    wasted_gpu = host.capacity.gpu_milli > 0 and need.demand.gpu_milli == 0
    cpu_left, memory_left = host.free.cpu_milli - need.demand.cpu_milli, host.free.memory_mib - need.demand.memory_mib
    return crowd, near, wasted_gpu, load, cpu_left, memory_left, host.name


def _best_fit(places: Places, need: Need, *, avoid: Set[str], allowed: Set[str]) -> Host | None:
    """The same without a group to spread: by sorted shelves, so that a thousand hosts cost no more than ten."""
    demand = need.demand
    by_load = sorted((places.load(pod), pod) for pod in places.pod_capacity if pod in allowed)
    for has_gpu in (False, True) if demand.gpu_milli == 0 else (True,):
        for _, pod in by_load:
            shelf = places.shelves.get((has_gpu, pod), [])
            for index in range(bisect_left(shelf, (demand.cpu_milli,)), len(shelf)):
                host = places.hosts[shelf[index][2]]
                if host.name not in avoid and _takes(host, need):
                    return host
    return None


def fits_nowhere(places: Places, need: Need, pods: Iterable[str], *, avoid: Set[str] = frozenset()) -> str:
    """Why a resource waits for a place, as one sentence; `pods` and `avoid` as they were when it was looked for."""
    hosts = [host for host in places.hosts.values() if host.has(need.requires)]
    if not places.hosts:
        return "no host is defined in the zone"
    if not hosts:
        return f"no host has the labels {need.labels}"
    words = _words(need.demand)
    if not any(need.demand.fits(host.capacity) for host in hosts):
        return f"larger than every host: needs {words}"
    allowed = set(pods)
    fitting = [host for host in hosts if host.name not in avoid and need.demand.fits(host.free)]
    if need.apart is not None and any(not host.closed and host.pod in allowed for host in fitting):
        return f"where there is room for {words}, its group {need.apart.group!r} does not allow another"
    closed = [host for host in fitting if host.closed or host.pod not in allowed]
    if closed:
        names = ", ".join(f"{host.name} ({_why_closed(host)})" for host in closed[:CLOSED_SHOWN_MAX])
        more = f" and {len(closed) - CLOSED_SHOWN_MAX} more" if len(closed) > CLOSED_SHOWN_MAX else ""
        return f"the hosts that have room for {words} are closed: {names}{more}"
    return f"no host has room for {words} now"


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
