"""Whether JetStream still answers: servers that can be reached but have no quorum store nothing and say nothing.

The connection tells nothing of that, and neither do reads, which any replica answers. So each program asks the leader
of one stream every few seconds; a leader that has lost its quorum steps down, and nobody answers then.
"""

import asyncio

from treeward.bus.interface import Bus, BusError
from treeward.runtime.clock import Clock
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.telemetry import names
from treeward.telemetry.metrics import Metrics

ASK_S = 5.0


class JetStreamWatch:
    """Asks the leader of the log of the program's zone (root's, if it serves all) until cancelled."""

    def __init__(self, bus: Bus, clock: Clock, metrics: Metrics, zone: str | None) -> None:
        self._bus = bus
        self._clock = clock
        self._stream = streams.log(zone or ROOT)
        self._answered_s = clock.now_s()
        metrics.gauge(names.JETSTREAM_SILENCE).follow(self.silence_s)

    def silence_s(self) -> float:
        """Seconds since the last answer, 0 while each question is answered."""
        silence_s = self._clock.now_s() - self._answered_s
        return silence_s if silence_s > 2 * ASK_S else 0.0

    async def run(self) -> None:
        """Ask for ever."""
        while True:
            try:
                await self._bus.state(self._stream)
            except BusError:
                await asyncio.sleep(1.0)
                continue
            self._answered_s = self._clock.now_s()
            await asyncio.sleep(ASK_S)
