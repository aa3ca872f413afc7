"""Whether JetStream still answers: servers that can be reached but have no quorum store nothing and say nothing.

The connection tells nothing of that, and neither do reads, which any replica answers. So each program asks the leader
of one stream every few seconds; a leader that has lost its quorum steps down, and nobody answers then.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from treeward.bus.interface import Bus, BusError
from treeward.runtime.clock import Clock
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.telemetry import names
from treeward.telemetry.metrics import Metrics

ASK_S = 5.0


class JetStreamWatch:
    """Asks the leader of the log of the program's zone (root's, if it serves all) every `ask_s` seconds."""

    def __init__(self, bus: Bus, clock: Clock, metrics: Metrics, zone: str | None, *, ask_s: float = ASK_S) -> None:
        self._bus = bus
        self._clock = clock
        self._stream = streams.log(zone or ROOT)
        self._ask_s = ask_s
        self._answered_s = clock.now_s()
        metrics.gauge(names.JETSTREAM_SILENCE).follow(self.silence_s)

    def silence_s(self) -> float:
        """Seconds since the last answer, 0 while each question is answered."""
        silence_s = self._clock.now_s() - self._answered_s
        return silence_s if silence_s > 2 * self._ask_s else 0.0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Ask while the block runs."""
        asking = asyncio.create_task(self._ask(), name="jetstream-watch")
        try:
            yield
        finally:
            asking.cancel()

    async def _ask(self) -> None:
        while True:
            try:
                await self._bus.state(self._stream)
                self._answered_s = self._clock.now_s()
            except BusError:
                pass  # nobody answers, which is what there is to see
            await asyncio.sleep(self._ask_s)
