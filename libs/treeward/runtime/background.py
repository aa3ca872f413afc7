"""The background synchronization of one pod: a slow cursor over its resources, that finds what others have changed.

It goes round the zone's bucket of last events, a page at a time, and has the owner look after one resource of its pod
after the other, spread over the time that a round may take: no task, no list and no memory for each resource, and never
more than a few looks under way. Where a round begins differs from owner to owner, so that pods which change hands often
are still looked after as a whole.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from treeward.bus.interface import BusError, Stored
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.schemas import streams
from treeward.supervision.knowledge import pod_of
from treeward.supervision.restart import jitter_of
from treeward.telemetry import names

PAGE = 512
"""Last events that are read at once, of whatever pod."""
LOOKS_MAX = 32
"""So many looks may be under way: a device that answers slowly is asked slowly."""
WAIT_S = 0.05
AGAIN_S = 5.0


@dataclass(slots=True)
class Page:
    """What was read of the bucket: up to where, how many entries, and which of them are the pod's."""

    up_to: int
    read: int = 0
    keys: list[str] = field(default_factory=list)


class Background:
    """The rounds of one owner; `run` ends only by being cancelled, which leaves nothing behind.

    `look(key)` begins to look after a resource, `looks()` tells how many are under way.
    """

    def __init__(
        self,
        context: Context,
        zone: str,
        pod: str,
        epoch: int,
        *,
        look: Callable[[str], None],
        looks: Callable[[], int],
    ) -> None:
        self._context = context
        self._zone = zone
        self._pod = pod
        self._epoch = epoch
        self._look = look
        self._looks = looks
        self._looked = context.metrics.counter(names.LOOKS, zone)

    async def run(self) -> None:
        """Go round and round; while the bus is away it waits."""
        period_s = self._context.settings.background_synchronization_s
        while period_s > 0:
            begun_s = self._context.clock.monotonic_s()
            try:
                await self._go_round(period_s)
            except BusError as error:
                self._context.log.info("cannot look after what others change", zone=self._zone, reason=str(error))
                await asyncio.sleep(AGAIN_S)
            else:
                took_s = self._context.clock.monotonic_s() - begun_s
                await asyncio.sleep(max(WAIT_S, period_s - took_s))

    async def _go_round(self, period_s: float) -> None:
        """Each resource once: from somewhere in the bucket to its end, and from its beginning to there."""
        bucket = await self._context.bus.state(streams.state(self._zone))
        if bucket is None or bucket.messages == 0:
            return
        entry_s = period_s / bucket.messages
        middle = bucket.first + int((bucket.last - bucket.first) * jitter_of(self._pod, self._epoch))
        for begin, end in ((middle, bucket.last), (bucket.first, middle - 1)):
            position = begin
            while position <= end:
                page = await self._read(position, end)
                await self._look_after(page, entry_s)
                position = page.up_to + 1

    async def _look_after(self, page: Page, entry_s: float) -> None:
        """A page takes as long as its share of the round; what there is of the pod is spread over it."""
        page_s = page.read * entry_s
        pause_s = max(1.0 / self._context.settings.background_per_s, page_s / max(1, len(page.keys)))
        for key in page.keys:
            while self._looks() >= LOOKS_MAX:
                await asyncio.sleep(WAIT_S)
            self._look(key)
            self._looked.inc()
            await asyncio.sleep(pause_s)
        if not page.keys:
            await asyncio.sleep(page_s)

    async def _read(self, begin: int, end: int) -> Page:
        """The next entries. An entry that is replaced meanwhile comes again at the end, or in the next round."""
        page, done = Page(end), asyncio.Event()

        def deliver(stored: Stored) -> None:
            if done.is_set():
                return
            if stored.position > end:
                done.set()
                return
            event = codec.event_of(stored.data)
            page.read += 1
            if event is not None and pod_of(event) == self._pod:
                page.keys.append(event.key)
            if page.read == PAGE:
                page.up_to = stored.position
                done.set()

        stream, entries = streams.state(self._zone), streams.state_subject(self._zone, "*.*")
        reader = await self._context.bus.read(
            stream, entries, begin, deliver, on_lost=done.set, on_caught_up=done.set, purged_is_fine=True
        )
        try:
            await done.wait()
        finally:
            await reader.close()
        return page
