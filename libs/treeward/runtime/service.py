"""From a running program to the context that its loops get: the connection to NATS, told to readiness and metrics."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from treeward.bus.nats_bus import NatsBus
from treeward.runtime.context import Context, limits_of
from treeward.runtime.jetstream_watch import JetStreamWatch
from treeward.runtime.login import credentials_of
from treeward.runtime.program import Program
from treeward.runtime.tasks import unless_stopping
from treeward.telemetry import names


@asynccontextmanager
async def connected(program: Program) -> AsyncIterator[Context]:
    """A context with a bus that reconnects without end; readiness follows the connection, liveness does not."""
    settings = program.settings
    bus: NatsBus | None = None
    program.readiness.add("nats", lambda: None if bus is not None and bus.connected else "no connection to NATS")
    # Also of a program that has never been connected, or nobody would be told of it.
    program.metrics.gauge(names.CONNECTED).follow(lambda: float(bus is not None and bus.connected))
    connecting = NatsBus.connect(
        list(settings.nats_url),
        name=program.instance,
        inbox_prefix=settings.nats_inbox_prefix,
        api_prefix=settings.nats_api_prefix,
        credentials=credentials_of(settings),
    )
    bus = await unless_stopping(program.stopping, connecting)
    program.readiness.add("permissions", lambda: bus.violation)
    program.metrics.counter(names.PERMISSION_VIOLATIONS).follow(lambda: bus.counts.get("violations", 0))
    reconnects = program.metrics.counter(names.RECONNECTS)

    def changed(connected: bool) -> None:
        if connected:
            reconnects.inc()
        program.log.warning("NATS is back" if connected else "NATS is gone")

    bus.on_connection(changed)
    context = Context(
        bus=bus,
        clock=program.clock,
        log=program.log,
        metrics=program.metrics,
        tracer=program.tracer,
        settings=settings,
        limits=limits_of(settings),
        instance=program.instance,
        name=settings.name or program.name,
    )
    try:
        async with JetStreamWatch(bus, program.clock, program.metrics, settings.zone).running():
            yield context
    finally:
        await bus.close()
