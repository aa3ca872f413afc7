"""Being there, and hearing who is there: heartbeats on core NATS (DESIGN section 4, who claims for whom)."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from treeward.bus.interface import Subscription
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas import subjects
from treeward.schemas.presence import Heartbeat, Holding, Service


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

    def deliver(_subject: str, data: bytes, _headers: Mapping[str, str] | None) -> None:
        instance = codec.closed_connection_of(data)
        if instance is not None:
            closed(instance, context.now_s())

    return await context.bus.subscribe(subjects.ALL_CLOSED, deliver)


async def listen(context: Context, service: Service, heard: Callable[[Heartbeat, float], None]) -> Subscription:
    """Tell every heartbeat of a service, with the time at which it arrived."""

    def deliver(_subject: str, data: bytes, _headers: Mapping[str, str] | None) -> None:
        heartbeat = codec.heartbeat_of(data)
        if heartbeat is not None:
            heard(heartbeat, context.now_s())

    return await context.bus.subscribe(subjects.presence_of(service), deliver)
