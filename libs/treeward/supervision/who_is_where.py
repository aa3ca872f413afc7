"""The zone owner's fold of who is where: hosts, and every placed resource, from bucket, log and single fetches.

What it is told may come in any order; an event older than what is known of its resource changes nothing. A fetch may be
ahead of the log, and a place that was given away is counted before its event is read.
"""

from treeward.schemas.events import Event
from treeward.supervision.knowledge import pod_of
from treeward.supervision.placement import Placed, Places, demand_of


class WhoIsWhere:
    """Places, with the positions that they were read at. Each input tells the host on which room has come, if any."""

    def __init__(self) -> None:
        self.places = Places()
        self._positions: dict[str, int] = {}

    def on_event(self, position: int, event: Event) -> str | None:
        """An event of a host or of something on one was read, from bucket or log."""
        key = event.key
        known = self._positions.get(key, 0)
        if position <= known:
            if position == known:
                self._forget_position_of(key)  # it was fetched ahead of the log, which has come up to it now
            return None
        self._positions[key] = position
        room = self._fold(event)
        self._forget_position_of(key)
        return room

    def on_fetched(self, position: int, event: Event) -> str | None:
        """One resource's last event, ahead of the log: what it says is not undone when the log comes to older ones."""
        if position <= self._positions.get(event.key, 0):
            return None
        self._positions[event.key] = position
        return self._fold(event)

    def _fold(self, event: Event) -> str | None:
        pod = pod_of(event)
        if event.kind == "host":
            if pod is None:
                self.places.remove_host(event.id)
            elif event.definition is not None:
                self.places.define_host(event.id, pod, event.definition)
                self.places.hosts[event.id].closed = event.draining
                return event.id
            return None
        known = self.places.placed.get(event.key)
        if pod is None or event.host is None:
            return known.host if known is not None and self.places.drop(event.key) else None
        spec = event.definition or event.reserves
        demand = demand_of(event.kind, spec)
        changed = known is None or (known.host, known.demand) != (event.host, demand)
        if changed:
            self.places.put(event.key, Placed(pod, event.host, demand, (spec or {}).get("spread")))
        return known.host if changed and known is not None else None

    def _forget_position_of(self, key: str) -> None:
        """A resource that is nowhere needs no position: nothing older can come from the log any more."""
        if key not in self.places.placed and key.removeprefix("host.") not in self.places.hosts:
            self._positions.pop(key, None)
