"""Emptying hosts, pods and zones: what is there is asked to migrate, by units of work like any other (ADR 4).

It is asked once a place is kept for it, and not before: what has nowhere to go stays where it is and waits, visibly.
"""

from collections import deque

from treeward.schemas.events import Event, EventType
from treeward.supervision.effects import Submit
from treeward.supervision.placing import Placing
from treeward.supervision.who_is_where import is_reservation

ROUND_S = 5.0
"""How often is looked for places for those that had none."""
TRIED_PER_STEP = 256
AGAIN_S = 60.0
"""Who could not be moved is asked again after so long."""


class Draining:
    """Remembers whom it has asked. A successor asks again: `leave` says of which host, so nothing moves twice."""

    def __init__(self, zone: str, epoch: int) -> None:
        self.waiting: dict[str, str] = {}
        """What is to leave and does not -> why."""
        self._zone = zone
        self._epoch = epoch
        self._asked: dict[str, str] = {}
        self._not_before_s: dict[str, float] = {}
        self._hosts: deque[str] = deque()
        """Closed hosts that this round has still to look at; what is on the one before them is in `_to_try`."""
        self._to_try: deque[str] = deque()
        self._leaving: dict[str, str] = {}
        """What this round saw on its way -> which host it left."""
        self._left_before: dict[str, str] = {}
        """The same of the round before. What is in both was let go when its host was isolated, and its unit was
        answered by that: no other brings it on."""
        self._next_round_s = 0.0
        self._units = 0

    def on_event(self, event: Event, now_s: float) -> None:
        """A `migrate` that was answered otherwise than completed is asked for again, later."""
        if event.operation != "migrate" or not event.is_outcome or self._asked.pop(event.key, None) is None:
            return
        if event.type is not EventType.COMPLETED:
            self.waiting[event.key] = event.reason or event.type.value
            self._not_before_s[event.key] = now_s + AGAIN_S

    def decide(self, placing: Placing, now_s: float) -> list[Submit]:
        """The units that are to be submitted now: a slice, so that a full pod does not hold up the loop."""
        if not self._to_try and not self._hosts:
            if now_s < self._next_round_s:
                return []
            self._begin_round(placing, now_s)
        while self._hosts and len(self._to_try) < TRIED_PER_STEP:
            self._to_try += placing.where.places.on_host.get(self._hosts.popleft(), ())
        placed, hosts = placing.where.places.placed, placing.where.places.hosts
        allowed = set(placing.pods.open())
        units = []
        for _ in range(min(TRIED_PER_STEP, len(self._to_try))):
            key = self._to_try.popleft()
            place = placed.get(key)
            host = hosts.get(place.host) if place is not None else None
            if place is None or not (place.pod not in allowed or (host is not None and host.closed)):
                continue
            if place.leaving:
                if is_reservation(key):
                    continue
                self._leaving[key] = place.host
                if self._left_before.get(key) != place.host:
                    continue
            if self._asked.get(key) == place.host or now_s < self._not_before_s.get(key, 0.0):
                continue
            said = placing.find_for(key, now_s) if not place.leaving else None
            if said is not None and said.host is None:
                self.waiting[key] = said.reason or "the zone supervisor is still reading who is where"
                continue
            self.waiting.pop(key, None)
            self._asked[key] = place.host
            self._units += 1
            body = (
                f'{{"operation":"migrate","spec":{{"leave":"{place.host}"}},'
                f'"reason":"host {place.host} is being drained"}}'
            )
            units.append(Submit(key, body, f"drain-{self._zone}-{key}-{self._epoch}-{self._units}"))
        return units

    def _begin_round(self, placing: Placing, now_s: float) -> None:
        """The hosts that are closed now; what has left them needs no memory any more. A million may be on them."""
        self._next_round_s = now_s + ROUND_S
        self._hosts = deque(placing.closed_hosts())
        self._left_before, self._leaving = self._leaving, {}
        closed, placed = set(self._hosts), placing.where.places.placed
        for known in (self._asked, self.waiting, self._not_before_s):
            for key in [key for key in known if key not in placed or placed[key].host not in closed]:
                del known[key]

    def describe(self, placing: Placing, key: str) -> dict[str, object] | None:
        """How far the emptying of a host, a pod or the zone is: what is left there, and why it does not leave."""
        kind, _, name = key.partition(".")
        places = placing.where.places
        names = {
            host
            for host in placing.closed_hosts()
            if kind == "zone"
            or (kind == "host" and host == name)
            or (kind == "pod" and placing.where.pod_of_host(host) == name)
        }
        left = sum(len(places.on_host.get(host, ())) for host in names) - placing.where.kept_on(names)
        waiting = [other for other in self.waiting if other in places.placed and places.placed[other].host in names]
        if not left:
            return None
        said: dict[str, object] = {"left": left, "waiting": len(waiting)}
        return said | ({"first": waiting[0], "reason": self.waiting[waiting[0]]} if waiting else {})
