"""Being there, and hearing who is there: heartbeats on core NATS (DESIGN section 4, who claims for whom)."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from treeward.bus.interface import BusError, Subscription
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas import streams, subjects
from treeward.schemas.presence import Heartbeat, Holding, Service
from treeward.telemetry import names

TRIES = 3
"""Followers answer their leader once a second: one late answer is not a majority lost."""


@dataclass(slots=True)
class Presence:
    """Sends the heartbeat of this instance until cancelled. `leaving` is part of it."""

    context: Context
    service: Service
    version: str
    holds: Callable[[], list[Holding]]
    leaving: bool = False

    def beat(self) -> None:
        """Say it now: what is held has just changed."""
        settings = self.context.settings
        heartbeat = Heartbeat(
            service=self.service,
            instance=self.context.instance,
            name=self.context.name,
            zone=settings.zone,
            labels=dict(settings.labels),
            capacity=settings.capacity,
            holds=self.holds(),
            leaving=self.leaving,
            version=self.version,
        )
        self.context.bus.publish(
            subjects.presence(self.service, self.context.instance), codec.heartbeat_bytes(heartbeat)
        )

    def leave(self) -> None:
        """Say that what is held is to be claimed for others, from now on."""
        self.leaving = True
        self.beat()

    async def run(self) -> None:
        """Beat for ever; at once when a connection is back, since the server may have reported the old one."""
        self.context.bus.on_connection(self._on_connection)
        while True:
            self.beat()
            await asyncio.sleep(self.context.settings.heartbeat_s)

    def _on_connection(self, connected: bool) -> None:
        if connected:
            self.beat()


async def listen_to_closed(context: Context, closed: Callable[[str, float], None]) -> Subscription:
    """Tell whose connection a server reports as closed; where nobody may read that, nothing is ever told."""

    reported = context.metrics.counter(names.CLOSED_CONNECTIONS)

    def deliver(_subject: str, data: bytes, _headers: Mapping[str, str] | None) -> None:
        instance = codec.closed_connection_of(data)
        if instance is not None:
            reported.inc()
            closed(instance, context.now_s())

    return await context.bus.subscribe(subjects.ALL_CLOSED, deliver)


async def listen(context: Context, service: Service, heard: Callable[[Heartbeat, float], None]) -> Subscription:
    """Tell every heartbeat of a service, with the time at which it arrived."""

    def deliver(_subject: str, data: bytes, _headers: Mapping[str, str] | None) -> None:
        heartbeat = codec.heartbeat_of(data)
        if heartbeat is not None:
            heard(heartbeat, context.now_s())

    return await context.bus.subscribe(subjects.presence_of(service), deliver)


async def can_claim(context: Context, zone: str) -> bool:
    """Whether the log of a zone has a majority behind it as far as we reach: else it is not the silent who are gone.

    On a server that is cut off from the others our own heartbeat comes back to us, so it proves nothing; nor does the
    leader itself, if it is there: it must have heard from its followers since those whom we suspect fell silent.
    """
    recent_s = context.limits.suspicion_s - context.limits.heartbeat_s
    try:
        for _ in range(TRIES):
            state = await context.bus.state(streams.log(zone))
            if state is not None and state.majority_age_s < recent_s:
                return True
            await asyncio.sleep(context.limits.heartbeat_s)
    except BusError:
        return False
    return False
