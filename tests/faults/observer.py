"""Looks on while a plan is carried out: who is there, who owns what, what is answered. Decides nothing."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from treeward.bus.interface import Reader, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.schemas.events import EventType
from treeward.schemas.presence import Heartbeat
from treeward.supervision.election import rendezvous

SILENT_S = 1.5


class Observer:
    """What heartbeats and logs tell."""

    def __init__(self, bus: NatsBus, zones: Sequence[str]) -> None:
        self.bus = bus
        self.zones = [*zones, "root"]
        self.heartbeats: dict[str, tuple[float, Heartbeat]] = {}
        """Of each instance, the last, and when."""
        self.answered: dict[str, set[int]] = {zone: set() for zone in self.zones}
        self.quarantined: dict[tuple[str, str], float] = {}
        self.outcomes = 0
        self._readers: list[Reader] = []

    async def start(self) -> None:
        """Follow everything."""
        await self.bus.subscribe("tw.presence.*.*", self._on_heartbeat)
        for zone in self.zones:
            self._readers.append(
                await self.bus.read(
                    streams.log(zone), subjects.log_of_zone(zone), 1, self._on_event, on_lost=self._on_lost
                )
            )

    async def close(self) -> None:
        """Follow no more."""
        for reader in self._readers:
            await reader.close()

    def alive(self, service: str) -> dict[str, Heartbeat]:
        """The instances that were heard of lately."""
        now_s = time.monotonic()
        return {
            name: heartbeat
            for name, (at_s, heartbeat) in self.heartbeats.items()
            if heartbeat.service == service and now_s - at_s < SILENT_S
        }

    def instance_of(self, program: str) -> str | None:
        """The instance that a program is now: that of its name which was heard last."""
        heard = [(at_s, name) for name, (at_s, heartbeat) in self.heartbeats.items() if heartbeat.name == program]
        return max(heard)[1] if heard else None

    def held_by(self, program: str) -> list[str]:
        """The branches that a program owns, as it says."""
        instance = self.instance_of(program)
        if instance is None or time.monotonic() - self.heartbeats[instance][0] > SILENT_S:
            return []
        return [holding.branch for holding in self.heartbeats[instance][1].holds]

    def dispatched_by(self, program: str) -> list[str]:
        """The zones that are dealt to an orchestrator, as all of them compute it."""
        alive = self.alive("orchestrator")
        return [zone for zone in self.zones if rendezvous(zone, alive) == self.instance_of(program)]

    async def unanswered(self) -> dict[str, int]:
        """How many units of each zone have no outcome: tickets are numbered without gaps."""
        counts: dict[str, int] = {}
        for zone in self.zones:
            state = await self.bus.state(streams.work(zone))
            counts[zone] = (state.last if state is not None else 0) - len(self.answered[zone])
        return counts

    def _on_heartbeat(self, _subject: str, data: bytes, _headers: Mapping[str, str] | None) -> None:
        heartbeat = codec.heartbeat_of(data)
        if heartbeat is not None:
            self.heartbeats[heartbeat.instance] = (time.monotonic(), heartbeat)

    def _on_event(self, stored: Stored) -> None:
        event = codec.event_of(stored.data)
        if event is None:
            return
        if event.is_outcome and event.ticket is not None:
            self.answered[event.zone].add(event.ticket)
            self.outcomes += 1
        if event.quarantined or event.type is EventType.QUARANTINED:
            self.quarantined.setdefault((event.zone, event.key), time.monotonic())
        else:
            self.quarantined.pop((event.zone, event.key), None)

    def _on_lost(self) -> None:
        raise AssertionError("a log has lost what an observer had not read yet")


async def until_quiet(observer: Observer, timeout_s: float) -> dict[str, int]:
    """Wait until nothing is unanswered, or for so long; returns what still is."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + timeout_s
    while True:
        left = await observer.unanswered()
        if not any(left.values()) or loop.time() > give_up_s:
            return left
        await asyncio.sleep(0.2)  # between two questions to NATS; gives up without failing, which is for the verdict
