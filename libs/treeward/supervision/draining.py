"""Emptying hosts and pods: what is there is asked to migrate, by units of work like any other (ADR 4)."""

from treeward.supervision.effects import Submit
from treeward.supervision.placement import Places


class Draining:
    """Remembers whom it has asked; a successor asks again, which changes nothing for what has moved."""

    def __init__(self, zone: str, epoch: int) -> None:
        self._zone = zone
        self._epoch = epoch
        self._asked: dict[str, str] = {}

    def decide(self, places: Places, open_pods: list[str]) -> list[Submit]:
        """The units that are to be submitted now."""
        allowed = set(open_pods)
        closed = {name for name, host in places.hosts.items() if host.closed or host.pod not in allowed}
        if not closed:
            self._asked.clear()
            return []
        units = []
        for key, place in places.placed.items():
            if place.host in closed and self._asked.get(key) != place.host:
                self._asked[key] = place.host
                body = f'{{"operation":"migrate","reason":"host {place.host} is being drained"}}'
                units.append(Submit(key, body, f"drain-{self._zone}-{key}-{place.host}-{self._epoch}"))
        return units
