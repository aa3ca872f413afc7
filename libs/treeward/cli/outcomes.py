"""Follows the logs of zones for the outcomes of tickets."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence

from treeward.bus.interface import Bus, Reader, Stored
from treeward.cli.output import UNAVAILABLE, CommandError
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event

Watch = Callable[[int, Event], None]
"""Told of each event of a zone that is followed: its position in the log, and what it says."""


class Outcomes:
    """What has been answered since one began to look, by zone and ticket; ended by `close`."""

    def __init__(self, bus: Bus, watch: Watch | None = None) -> None:
        self.answers: dict[str, dict[int, Event]] = {}
        """The first outcome of each ticket, which is the one that counts."""
        self._bus = bus
        self._watch = watch
        self._readers: list[Reader] = []
        self._changed = asyncio.Event()
        self._lost = ""

    async def follow(self, zone: str, *, key: str | None = None, since: int | None = None) -> None:
        """Begin with a zone (or one resource of it): at position `since` of its log, else behind what is there now.

        Call it before submitting: an outcome that is already there is not seen. Raises NoSuchZoneError.
        """
        if zone in self.answers:
            return
        if since is None:
            state = await self._bus.state(streams.log(zone))
            since = 1 if state is None else state.last + 1
        self.answers[zone] = {}
        subject_filter = subjects.log_of_zone(zone) if key is None else subjects.log_of_resource(zone, key)
        reader = await self._bus.read(
            streams.log(zone), subject_filter, since, self._take, on_lost=lambda: self._become_lost(zone)
        )
        self._readers.append(reader)

    async def answer_of(self, zone: str, ticket: int, *, timeout_s: float | None) -> Event | None:
        """The event that answered a ticket; None if `timeout_s` passed without one."""
        answers = self.answers[zone]
        try:
            async with asyncio.timeout(timeout_s):
                while ticket not in answers:
                    await self.change()
        except TimeoutError:
            return None
        return answers[ticket]

    async def answers_of(self, tickets: Sequence[tuple[str, int]], *, quiet_s: float) -> list[Event | None]:
        """The answers of many (zone, ticket), waiting as long as something is answered within `quiet_s` seconds."""
        waiting = deque(tickets)
        with contextlib.suppress(TimeoutError):
            while waiting:
                zone, ticket = waiting[0]
                if ticket in self.answers[zone]:
                    waiting.popleft()
                    continue
                async with asyncio.timeout(quiet_s):
                    await self.change()
        return [self.answers[zone].get(ticket) for zone, ticket in tickets]

    async def change(self) -> None:
        """Return when something was answered since the last call; raises CommandError if a log cannot be followed."""
        await self._changed.wait()
        self._changed.clear()
        if self._lost:
            raise CommandError(f"the log of zone {self._lost} no longer has what comes next: ask again", UNAVAILABLE)

    async def close(self) -> None:
        """Look no more."""
        for reader in self._readers:
            await reader.close()

    def _become_lost(self, zone: str) -> None:
        self._lost = zone
        self._changed.set()

    def _take(self, stored: Stored) -> None:
        event = Event.model_validate_json(stored.data)
        if self._watch is not None:
            self._watch(stored.position, event)
        if not event.is_outcome or event.ticket is None:
            return
        self.answers[event.zone].setdefault(event.ticket, event)
        self._changed.set()
