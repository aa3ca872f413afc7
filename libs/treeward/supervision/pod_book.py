"""What a zone's owner knows of its pods: their last events, which nobody else writes, and the claims on their way."""

from treeward.schemas.events import Event, EventType
from treeward.supervision import events


class PodBook:
    """The fold of a zone's pods in one epoch."""

    def __init__(self, epoch: int, ahead_max: int = 1) -> None:
        """`ahead_max`: what the owners that it names may call ahead (S13)."""
        self._ahead_max = ahead_max
        self.last: dict[str, Event] = {}
        """The last event of each pod, also those of our own that are still on their way."""
        self.claims_on_their_way: set[str] = set()
        self.zone_closed = False
        """The zone as a whole is being drained."""
        self._epoch = epoch
        self._positions: dict[str, int] = {}

    def on_event(self, position: int, event: Event) -> None:
        """Up to our claim this is history; beyond it all is our own, and known since it was appended."""
        if position <= self._positions.get(event.id, 0):
            return
        self._positions[event.id] = position
        known = self.last.get(event.id)
        if event.type is EventType.CLAIMED:
            self.claims_on_their_way.discard(event.id)
            event.epoch = position
            if known is not None:
                known.epoch, known.owner = position, event.owner
        elif event.epoch is None and known is not None:
            event.epoch, event.owner = known.epoch, known.owner
        if position <= self._epoch:
            self.last[event.id] = event

    def note(self, event: Event) -> None:
        """An event of our own about a pod is on its way: it keeps who owns the pod (PROTOCOL S8)."""
        known = self.last.get(event.id)
        if known is not None:
            event.epoch, event.owner, event.ahead = known.epoch, known.owner, known.ahead
            if known.quarantined and not (event.operation == "release" and event.type is EventType.COMPLETED):
                event.quarantined = True
        self.last[event.id] = event

    def quarantine(self, pod: str, reason: str, now_s: float) -> Event:
        """The event that says that no owner could help a pod; it stays so until a `release` of the pod is answered."""
        told = {"type": EventType.QUARANTINED, "life": self._epoch, "at": events.at(now_s), "quarantined": True}
        event = self.last[pod].model_copy(update=told | {"reason": reason, "ticket": None, "operation": None})
        self.last[pod] = event
        return event

    def claim(self, pod: str, instance: str | None, reason: str, now_s: float) -> Event:
        """The event that names the next owner of a pod; it says all else that the last one said (PROTOCOL H11).

        `ahead` never falls: of what an earlier owner has called, so much may be in doubt.
        """
        changes = {"owner": instance, "reason": reason, "ticket": None, "operation": None, "epoch": None}
        ahead = max(self.last[pod].ahead, self._ahead_max)
        told = {"type": EventType.CLAIMED, "life": self._epoch, "at": events.at(now_s), "ahead": ahead}
        event = self.last[pod].model_copy(update=told | changes)
        self.last[pod] = event
        self.claims_on_their_way.add(pod)
        return event

    def is_defined(self, pod: str) -> bool:
        """Whether the last word about a pod is that it exists."""
        event = self.last.get(pod)
        return event is not None and event.definition is not None

    def open(self) -> list[str]:
        """The pods in which something new may be placed."""
        if self.zone_closed:
            return []
        return [
            pod
            for pod, event in self.last.items()
            if event.definition is not None and not event.draining and not event.isolated
        ]

    def is_isolated(self, pod: str) -> bool:
        """Whether a person has said that nothing of the pod acts any more."""
        event = self.last.get(pod)
        return event is not None and event.isolated

    def share_a_device(self, pod: str, other: str) -> bool:
        """Whether the two pods are in front of one device: what is there need not be emptied and made again."""
        return pod == other or self._device_of(pod) == self._device_of(other)

    def _device_of(self, pod: str) -> str | None:
        event = self.last.get(pod)
        device = (event.definition or {}).get("device") if event is not None else None
        return device if isinstance(device, str) else None
