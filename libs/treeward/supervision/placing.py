"""Who gets which place, and who waits for one: what a zone's owner knows of room, pods and those without a home.

It alone allocates (DESIGN section 4), so there is no lock; and only this waits for the fold of who is where. Nothing
that runs is without a place: what moves has its new one before it leaves, and its old one until it has arrived.
"""

from collections.abc import Iterator, Sequence, Set
from typing import Any, NamedTuple

from treeward.schemas.events import Event
from treeward.schemas.mailbox import Message
from treeward.schemas.places import PlaceAsked, PlaceSaid
from treeward.supervision.homeless import Homeless, Waiting
from treeward.supervision.need import Need
from treeward.supervision.placement import decide_placement, fits_nowhere
from treeward.supervision.places import Host, Placed
from treeward.supervision.pod_book import PodBook
from treeward.supervision.who_is_where import WhoIsWhere

TRIED_AT_ONCE = 16
TRIED_PER_TICK = 100
"""Placements that are tried again at one event, and in one tick, so that a long line does not hold up the loop."""


class Given(NamedTuple):
    """A place that was given away; `reason` says why it is not the one that was asked for."""

    pod: str
    host: str
    reason: str | None


class Placing:
    """The allocator of one zone in one epoch."""

    def __init__(self, where: WhoIsWhere, pods: PodBook) -> None:
        self.where = where
        self.pods = pods
        self.homeless = Homeless()
        self.fold_complete = False

    def on_fold_complete(self) -> None:
        """Everything up to the claim has been folded: places can be given away."""
        self.fold_complete = True
        self.homeless.try_all()

    # --- what has no place ---------------------------------------------------------------------------------------

    def give(self, key: str, unit: Message, definition: dict[str, Any], came: Event | None) -> Given | str:
        """Give a place away by free capacity, labels and spread; or say why it waits for one."""
        if not self.fold_complete:
            self.homeless.put(unit.ticket, key, None, unit.deadline_s)
            return "the zone supervisor is still reading who is where"
        places, need = self.where.places, Need.of(key.partition(".")[0], definition)
        moving = came is not None and unit.operation == "migrate"
        named = (unit.spec or {}).get("host") if moving else None
        kept = places.placed.get(key)
        self.where.unreserve(key)
        places.drop(key)
        # Where its own move has been; a unit behind that one may name any of those hosts again.
        tried = set(came.tried) if came is not None and came.ticket == unit.ticket else set()
        host = self._choose(need, came, named, tried)
        if host is None:
            if kept is not None:
                places.put(key, kept)
            # Of a group it is not only room on one host that matters: it is tried at every change.
            self.homeless.put(unit.ticket, key, need.demand if need.apart is None else None, unit.deadline_s)
            return self._why_not(need)
        self.where.give(key, Placed(host.pod, host.name, need))
        if named is not None and host.name != named:
            return Given(host.pod, host.name, f"host {named} could not take it")
        return Given(host.pod, host.name, None)

    def _choose(self, need: Need, came: Event | None, named: str | None, tried: Set[str]) -> Host | None:
        """For what came by a hand-off: what was kept for it, what was asked for, elsewhere, or where it was."""
        if came is None:
            return self._fit(need, self.pods.open())
        pods = self._pods_for(came)
        left = {came.left or ""}
        for wanted in (came.to, named if named not in tried else None):
            host = self._fit(need, pods, named=wanted) if wanted is not None else None
            if host is not None:
                return host
        host = self._fit(need, pods, avoid=left | tried) or self._fit(need, pods, avoid=left)
        if host is not None:
            return host
        before = self.where.places.hosts.get(came.left or "")
        if came.existed and before is not None and not before.isolated and not self.pods.is_isolated(before.pod):
            return (
                before  # its room was kept: what ran goes on there rather than nowhere, even on a host that is closed
            )
        return self._fit(need, pods)

    def _pods_for(self, came: Event) -> list[str]:
        """What is still with its old device can only go where that device is."""
        pods = self.pods.open()
        if not came.existed or came.emptied or came.left_pod is None:
            return pods
        return [pod for pod in pods if self.pods.share_a_device(pod, came.left_pod)]

    def _fit(
        self, need: Need, pods: list[str], *, named: str | None = None, avoid: Set[str] = frozenset()
    ) -> Host | None:
        return decide_placement(self.where.places, need, named=named, avoid=avoid, pods=pods)

    def _why_not(self, need: Need, avoid: Set[str] = frozenset()) -> str:
        if self.pods.zone_closed:
            return "the zone is being drained: nothing new is placed in it"
        return fits_nowhere(self.where.places, need, self.pods.open(), avoid=avoid)

    # --- what has a place and is to move -------------------------------------------------------------------------

    def find(self, asked: PlaceAsked, now_s: float) -> PlaceSaid:
        """A place for what is to move, kept for it from now on; or why there is none, and it stays where it is."""
        key, kind = asked.key, asked.key.partition(".")[0]
        if kind == "host":
            return PlaceSaid(reason="a host stays in the pod that its definition names")
        own = self.where.places.placed.get(key)
        if own is None or own.leaving or own.host != asked.leaves:
            return PlaceSaid()
        return self._find(key, own, Need.of(kind, asked.definition), asked.host, now_s, tried=asked.tried)

    def find_for(self, key: str, now_s: float) -> PlaceSaid:
        """The same for what the zone itself wants to move, from what the fold knows of it."""
        own = self.where.places.placed[key]
        return self._find(key, own, own.need, None, now_s)

    def _find(
        self, key: str, own: Placed, need: Need, wanted: str | None, now_s: float, *, tried: Sequence[str] = ()
    ) -> PlaceSaid:
        """`wanted`: the only host that will do. What was kept for it before is kept on if it will do as well."""
        if not self.fold_complete:
            return PlaceSaid()
        before = self.where.reserved_for(key)
        self.where.unreserve(key)
        pods, avoid, again = self.pods.open(), {own.host, *tried}, False
        with self.where.places.without(own):
            same = before if wanted in (None, before) else None
            host = self._fit(need, pods, named=same, avoid=avoid) if same else None
            host = host or self._fit(need, pods, named=wanted, avoid=avoid)
            if host is None and tried:
                host, again = self._fit(need, pods, avoid={own.host}), True
        if host is None and wanted is not None:
            return PlaceSaid(reason=self._why_not_on(wanted, need))
        if host is None:
            return PlaceSaid(reason=self._why_not_elsewhere(need, own.host))
        self.where.reserve(key, Placed(host.pod, host.name, need, leaving=True), now_s)
        return PlaceSaid(host=host.name, empties=not self.pods.share_a_device(host.pod, own.pod), again=again)

    def _why_not_on(self, name: str, need: Need) -> str:
        host = self.where.places.hosts.get(name)
        if host is None:
            return f"no host {name} is defined in the zone; it stays where it is"
        if host.closed or host.pod not in self.pods.open():
            return f"host {name} is closed: it is being emptied; it stays where it is"
        if not host.has(need.requires):
            return f"host {name} does not have the labels {need.labels}; it stays where it is"
        return f"host {name} has no room for it now; it stays where it is"

    def _why_not_elsewhere(self, need: Need, here: str) -> str:
        other = "" if self.pods.zone_closed else f", other than {here}"
        return f"{self._why_not(need, {here})}{other}; it stays where it is"

    def closed_hosts(self) -> list[str]:
        """The hosts that are to be emptied; also those of an isolated pod that were destroyed with things on them."""
        allowed, places = set(self.pods.open()), self.where.places
        closed = [name for name, host in places.hosts.items() if host.closed or host.pod not in allowed]
        return closed + [name for name in places.on_host if name not in places.hosts]

    # --- who is tried again --------------------------------------------------------------------------------------

    def that_fit(self, host_name: str | None) -> list[Waiting]:
        """Room has come on a host: those to be tried again now, in ticket order; the rest is, by and by."""
        host = self.where.places.hosts.get(host_name or "")
        if host is None or not self.fold_complete or not self.homeless:
            return []
        candidates = self.homeless.that_fit(host.free, TRIED_AT_ONCE + 1)
        if len(candidates) > TRIED_AT_ONCE:
            self.homeless.try_all()
        return candidates[:TRIED_AT_ONCE]

    def next_to_try(self) -> Iterator[Waiting]:
        """Those whose turn it is in this tick."""
        return self.homeless.next_to_try(TRIED_PER_TICK)
