"""Who is there: the last heartbeat of every instance of every service, for those who ask."""

from typing import get_args

from treeward.bus.interface import Subscription
from treeward.orchestrator.api.facts import UNHEARD, Presence
from treeward.runtime.context import Context
from treeward.runtime.presence import listen
from treeward.schemas.presence import Heartbeat, Service

FORGET_S = 300.0


class Presences:
    """Heard since this instance began; an instance that has been silent for 5 minutes is forgotten."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._heard: dict[str, tuple[Heartbeat, float]] = {}
        self._asking: dict[tuple[str, int], tuple[str, float]] = {}
        """Branch and epoch whose owner asks for help: why, and since when that is heard."""
        self._subscriptions: list[Subscription] = []
        self._swept_s = 0.0

    async def follow(self) -> None:
        """Begin to listen."""
        for service in get_args(Service):
            self._subscriptions.append(await listen(self._context, service, self._on_heartbeat))

    def of(self, instance: str | None) -> Presence:
        """What is known of an instance now."""
        if instance is None or instance not in self._heard:
            return UNHEARD
        heartbeat, heard_s = self._heard[instance]
        silence_s = max(0.0, self._context.now_s() - heard_s)
        silent = silence_s > self._context.limits.suspicion_s
        state = "leaving" if heartbeat.leaving else "silent" if silent else "present"
        return Presence(
            state=state,  # type: ignore[arg-type]  # mypy widens the conditional to str
            name=heartbeat.name,
            heard_s=silence_s,
            epochs=frozenset((held.branch, held.epoch) for held in heartbeat.holds),
        )

    def asking(self, branch: str, epoch: int) -> tuple[str, float] | None:
        """Why the owner of a branch in that epoch asks for help, and since when; None: it does not."""
        return self._asking.get((branch, epoch))

    def epoch_of(self, branch: str) -> int:
        """The highest epoch in which anybody says to act for a branch; 0: nobody does."""
        held = (held for beat, _ in self._heard.values() for held in beat.holds if held.branch == branch)
        return max((each.epoch for each in held), default=0)

    def _on_heartbeat(self, heartbeat: Heartbeat, now_s: float) -> None:
        self._heard[heartbeat.instance] = (heartbeat, now_s)
        for held in heartbeat.holds:
            if held.escalated is None:
                self._asking.pop((held.branch, held.epoch), None)
            else:
                since_s = self._asking.get((held.branch, held.epoch), ("", now_s))[1]
                self._asking[held.branch, held.epoch] = (held.escalated, since_s)
        if now_s - self._swept_s > FORGET_S:
            self._swept_s = now_s
            for name in [name for name, (_, heard_s) in self._heard.items() if now_s - heard_s > FORGET_S]:
                del self._heard[name]
            acting = {(held.branch, held.epoch) for beat, _ in self._heard.values() for held in beat.holds}
            self._asking = {place: asks for place, asks in self._asking.items() if place in acting}

    async def close(self) -> None:
        """Hear nothing from now on."""
        for subscription in self._subscriptions:
            await subscription.close()
