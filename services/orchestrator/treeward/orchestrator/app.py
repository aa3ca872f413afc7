"""Where `tw.api` is put together: a FastStream broker on a connection of its own, kept alive beside the dispatchers.

FastStream's client is nats-py as it is, which can be left half-open or without its reading task (`bus.connection`
tells). So the connection is asked for a sign of life; if there is none while the bus has a connection, a new broker
is made. What was asked meanwhile is answered by the other orchestrators, or asked again.
"""

import asyncio
from collections.abc import Coroutine
from importlib.metadata import version
from typing import Any

from faststream.nats import NatsBroker
from faststream.nats.security import NatsCredentials, NatsNKey, NatsSecurity

from treeward.orchestrator.api.handlers import Handlers
from treeward.orchestrator.api.micro import SERVICE, Micro
from treeward.orchestrator.api.presences import Presences
from treeward.orchestrator.api.questions import Questions
from treeward.orchestrator.api.steering import Steering
from treeward.runtime.context import Context
from treeward.runtime.login import tls_of
from treeward.runtime.settings import Settings

PING_S = 2.0
PINGS_MISSED_MAX = 3
CLOSE_S = 3.0
RETRY_S = 1.0


async def answer_questions(context: Context, *, ping_s: float = PING_S) -> None:
    """Answer `tw.api.*` until cancelled; then nothing more is answered here. `ping_s`: between two signs of life."""
    presences = Presences(context)
    await presences.follow()
    micro = Micro(context.instance, version("treeward"), context.now_s(), {"name": context.name})
    handlers = Handlers(context, Questions(context, presences), Steering(context), micro)
    try:
        while True:
            broker = make_broker(context)
            handlers.register(broker)
            try:
                await _serve(context, broker, ping_s)
            finally:
                await _settled(broker.stop(), CLOSE_S)
            await asyncio.sleep(RETRY_S)
    finally:
        await presences.close()


def make_broker(context: Context) -> NatsBroker:
    """A broker that reconnects without end, and logs neither messages nor attempts."""
    settings = context.settings
    said = ""

    async def note(error: Exception) -> None:
        nonlocal said
        if said != (text := repr(error)):
            said = text
            context.log.warning("the connection of tw.api reports an error", error=text)

    return NatsBroker(
        list(settings.nats_url),
        name=f"{context.instance}-api",
        error_cb=note,
        max_reconnect_attempts=-1,
        reconnect_time_wait=1,
        ping_interval=5,
        max_outstanding_pings=2,
        drain_timeout=2,
        graceful_timeout=2.0,
        logger=None,
        inbox_prefix=settings.nats_inbox_prefix,
        security=_security(settings),
    )


def _security(settings: Settings) -> NatsSecurity | None:
    """How the bus logs in, in FastStream's words."""
    tls = tls_of(settings)
    if settings.nats_nkey_file is not None:
        return NatsNKey(settings.nats_nkey_file, ssl_context=tls)
    if settings.nats_credentials_file is not None:
        return NatsCredentials(settings.nats_credentials_file, ssl_context=tls)
    return NatsSecurity(ssl_context=tls) if tls is not None else None


async def _serve(context: Context, broker: NatsBroker, ping_s: float) -> None:
    """Serve until the connection is found dead: the bus asks it over the server, as everybody does."""
    fault = await _settled(broker.start(), None)
    if fault is not None:
        context.log.warning("tw.api cannot be served and tries again", error=repr(fault))
        return
    context.log.info("answers questions")
    ping, missed = f"$SRV.PING.{SERVICE}.{context.instance}", 0
    while missed < PINGS_MISSED_MAX:
        await asyncio.sleep(ping_s)
        alive = await context.bus.request(ping, b"", timeout_s=ping_s) is not None
        missed = 0 if alive or not context.bus.connected else missed + 1
    context.log.warning("the connection of tw.api is dead and is made anew", pings=missed)


async def _settled(work: Coroutine[Any, Any, Any], timeout_s: float | None) -> BaseException | None:
    """What came of it: None, or the error, of which FastStream and nats-py raise too many kinds to name."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=timeout_s)
    finally:
        if not task.done():
            task.cancel()
    if not task.done() or task.cancelled():
        return TimeoutError(f"not within {timeout_s} s")
    return task.exception()
