"""The zone owner's fold of who is where: hosts, and every placed resource, from bucket, log and single fetches.

What it is told may come in any order; an event older than what is known of its resource changes nothing. A fetch may be
ahead of the log, and a place that was given away is counted before its event is read.
"""

from collections.abc import Collection

from treeward.schemas.events import Event, EventType
from treeward.schemas.standing import Standing
from treeward.supervision.knowledge import pod_of
from treeward.supervision.need import Need
from treeward.supervision.places import Placed, Places

RESERVED_S = 60.0
"""A place that was found for a move is kept for so long; what the log shows as on its way keeps it without end."""


class WhoIsWhere:
    """Places, with the positions that they were read at. Each input tells the host on which room has come, if any."""

    def __init__(self) -> None:
        self.places = Places()
        self._positions: dict[str, int] = {}
        self._reserved: dict[str, float] = {}
        """What is to move -> until when its new place is kept (Unix seconds)."""
        self._unmade: dict[str, str] = {}
        """Hosts that are placed and not made yet -> their pod."""
        self._given: dict[str, int] = {}
        """What was given a place that was not read yet -> where the log has that, or 0: what was before it is older."""

    def on_event(self, position: int, event: Event) -> str | None:
        """An event of a host or of something on one was read, from bucket or log."""
        key = event.key
        known = self._positions.get(key, 0)
        if position <= known:
            if position == known:
                self._forget_position_of(key)  # it was fetched ahead of the log, which has come up to it now
            return None
        given = self._given.get(key)
        if given is not None and pod_of(event) is None and (given == 0 or position < given):
            return None
        self._given.pop(key, None)
        self._positions[key] = position
        room = self._fold(key, event)
        self._forget_position_of(key)
        return room

    def on_standing(self, position: int, key: str, standing: Standing) -> bool:
        """The same of something that stands where it is; False: there is more to it, and its event is to be read whole.

        Before places are given away: nobody waits for room. A takeover does this for everything that is in the zone.
        """
        if standing.kind == "host" or key in self._reserved:
            return False
        if position > self._positions.get(key, 0):
            self._given.pop(key, None)
            self._positions[key] = position
            need = Need.of(standing.kind, standing.definition or standing.reserves)
            self.places.put(key, Placed(standing.pod, standing.host, need))
        return True

    def on_fetched(self, position: int, event: Event) -> str | None:
        """One resource's last event, ahead of the log: what it says is not undone when the log comes to older ones."""
        key = event.key
        if position <= self._positions.get(key, 0):
            return None
        self._given.pop(key, None)  # nobody asks for it while its place is on its way into the log
        self._positions[key] = position
        return self._fold(key, event)

    def give(self, key: str, place: Placed) -> None:
        """A resource is being placed: it takes its room from now on, and events of when it was nowhere free none."""
        self._given[key] = 0
        self.places.put(key, place)

    def on_given(self, key: str, position: int) -> None:
        """The log has it: whatever is read from behind that counts, also where a bucket passed by the event itself."""
        if key in self._given:
            self._given[key] = position

    def give_host(self, name: str, pod: str) -> None:
        """A host is being placed in a pod: the pod has it from now on."""
        self._given[f"host.{name}"] = 0
        self._unmade[name] = pod

    def has_anything(self, pod: str) -> bool:
        """Whether a host is placed in the pod, made or not, or something is that was on one."""
        if pod in self._unmade.values() or any(host.pod == pod for host in self.places.hosts.values()):
            return True
        return any(place.pod == pod for place in self.places.placed.values())

    def pod_of_host(self, name: str) -> str | None:
        """The pod of a host; of one that is gone, that of what was on it."""
        host = self.places.hosts.get(name)
        if host is not None:
            return host.pod
        return next((self.places.placed[key].pod for key in self.places.on_host.get(name, ())), None)

    def _fold(self, key: str, event: Event) -> str | None:
        pod = pod_of(event)
        if event.kind == "host":
            self._unmade.pop(event.id, None)
            if pod is not None and event.definition is None:
                self._unmade[event.id] = pod
            if pod is None:
                self.places.remove_host(event.id)
            elif event.definition is not None:
                self.places.define_host(event.id, pod, event.definition)
                self.places.hosts[event.id].closed = event.draining or event.isolated
                self.places.hosts[event.id].isolated = event.isolated
                return event.id
            return None
        self._fold_reservation(event)
        known = self.places.placed.get(key)
        host, leaving = event.host, False
        if pod is None and event.existed and event.left is not None:
            pod, host, leaving = event.left_pod or "", event.left, True  # it comes back there if it fits nowhere else
        if pod is None or host is None:
            return known.host if known is not None and self.places.drop(key) else None
        place = Placed(pod, host, Need.of(event.kind, event.definition or event.reserves), leaving)
        if place == known:
            return None
        self.places.put(key, place)
        return known.host if known is not None else None

    # --- places that are kept for what is to move ----------------------------------------------------------------

    def reserve(self, key: str, place: Placed, now_s: float) -> None:
        """Keep a place for what is to move."""
        self.places.put(_reservation(key), place)
        self._reserved[key] = now_s + RESERVED_S

    def reserved_for(self, key: str) -> str | None:
        """The host on which a place is kept for it."""
        place = self.places.placed.get(_reservation(key))
        return place.host if place is not None else None

    def kept_on(self, hosts: Collection[str]) -> int:
        """How many places are kept on these hosts for what is not there."""
        return sum(self.places.placed[_reservation(key)].host in hosts for key in self._reserved)

    def unreserve(self, key: str) -> None:
        """It needs no place kept for it."""
        if self._reserved.pop(key, None) is not None:
            self.places.drop(_reservation(key))

    def expire_reservations(self, now_s: float) -> list[str]:
        """What did not move in time is not waited for; the oldest stand first. Returns hosts that have room then."""
        hosts = []
        for key, until_s in list(self._reserved.items()):
            if until_s <= now_s:
                hosts.append(self.places.placed[_reservation(key)].host)
                self.unreserve(key)
            elif until_s < float("inf"):
                break
        return hosts

    def _fold_reservation(self, event: Event) -> None:
        """`leaving` and `handed_off` show which place was kept; any word that it is somewhere ends that."""
        key, host = event.key, self.places.hosts.get(event.to or "")
        if event.type in (EventType.LEAVING, EventType.HANDED_OFF) and host is not None:
            need = Need.of(event.kind, event.definition or event.reserves)
            self.unreserve(key)
            self.reserve(key, Placed(host.pod, host.name, need, leaving=True), float("inf"))
        elif event.type in (EventType.PLACED, EventType.CRASHED) or (event.is_outcome and not event.existed):
            self.unreserve(key)

    def _forget_position_of(self, key: str) -> None:
        """A resource that is nowhere needs no position: nothing older can come from the log any more."""
        name = key.removeprefix("host.")
        if key not in self.places.placed and name not in self.places.hosts and name not in self._unmade:
            self._positions.pop(key, None)


def _reservation(key: str) -> str:
    """No key of a resource has this sign."""
    return f">{key}"


def is_reservation(key: str) -> bool:
    """Whether a key of `places` is a place that is kept for something, and not the thing itself."""
    return key.startswith(">")
