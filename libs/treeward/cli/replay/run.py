"""Submits a schedule, follows the logs until every ticket is answered, and notices when nothing moves any more."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from treeward.bus.interface import Bus, BusError, NoSuchZoneError, Reader, Receipt, Stored
from treeward.cli.output import UNAVAILABLE, CommandError
from treeward.cli.pipeline import IN_FLIGHT_MAX, Draft, Pipeline
from treeward.cli.replay.records import Records, Submitted
from treeward.cli.replay.schedule import Planned, Schedule, cancel_of
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event

Progress = Callable[[int, int], None]
"""Told how many units were sent and how many are answered."""

TELL_S = 0.2


@dataclass(slots=True)
class Replay:
    """One run. `speed`: seconds of the trace in one second; None: as fast as it goes.

    `patience_s`: how long nothing may be answered before creates that wait for room are cancelled, and before it is
    given up.
    """

    bus: Bus
    schedule: Schedule
    speed: float | None
    patience_s: float
    progress: Progress
    records: Records = field(default_factory=Records)
    begun_s: float = 0.0
    """Unix time at which it began."""
    cancelled_waiting: int = 0
    """Creates that still waited for room when nothing else was left to do."""
    _creates: dict[tuple[str, str], Submitted] = field(default_factory=dict)
    _waiting_cancelled: set[tuple[str, str]] = field(default_factory=set)
    _lost: str = ""

    async def run(self) -> None:
        """Carry it out; what is in `records.open` afterwards was not answered. Cancelled, what was sent goes on."""
        readers = [await self._follow(zone) for zone in self.schedule.units]
        self.begun_s = time.time()
        share = max(1, IN_FLIGHT_MAX // len(self.schedule.units))
        telling = asyncio.create_task(self._tell())
        try:
            async with asyncio.TaskGroup() as zones:
                for units in self.schedule.units.values():
                    zones.create_task(self._submit_zone(units, share))
            await self._wait_for_answers()
        finally:
            telling.cancel()
            for reader in readers:
                await reader.close()
        self.progress(len(self.records.units), self.records.answered)

    async def _follow(self, zone: str) -> Reader:
        state = await self.bus.state(streams.log(zone))
        if state is None:
            raise NoSuchZoneError(f"no zone {zone} has been defined")

        def lost() -> None:
            self._lost = zone

        return await self.bus.read(
            streams.log(zone), subjects.log_of_zone(zone), state.last + 1, self._read, on_lost=lost
        )

    def _read(self, stored: Stored) -> None:
        self.records.read(Event.model_validate_json(stored.data), stored.position, stored.time_s)

    async def _submit_zone(self, units: list[Planned], in_flight_max: int) -> None:
        """A zone's units, in their order."""
        sent: dict[str | None, Submitted] = {}

        def done(draft: Draft, result: Receipt | BusError) -> None:
            unit = sent.pop(draft.message_id)
            if isinstance(result, Receipt):
                self.records.accept(unit, result.ticket)
            else:
                unit.error = str(result)

        async with Pipeline(self.bus, done, in_flight_max=in_flight_max) as pipeline:
            for planned in units:
                await self._pace(planned.at_s)
                body = planned.body
                if planned.action == "cancel":
                    await pipeline.receipts_of(planned.zone, planned.key)
                    ticket = self._creates[planned.zone, planned.key].ticket
                    if ticket is None:  # its create was refused: there is nothing to cancel
                        continue
                    body = cancel_of(ticket, "it fits on no host")
                unit = Submitted(planned.zone, planned.key, planned.action, body, time.time())
                if planned.action == "create":
                    self._creates[planned.zone, planned.key] = unit
                self.records.units.append(unit)
                sent[planned.message_id] = unit
                await pipeline.send(Draft(planned.zone, planned.key, body, planned.message_id))

    async def _pace(self, at_s: float) -> None:
        if self.speed is not None:
            due_s = self.begun_s + (at_s - self.schedule.begins_s) / self.speed
            await asyncio.sleep(max(0.0, due_s - time.time()))

    async def _wait_for_answers(self) -> None:
        """Until everything is answered, or nothing has moved for `patience_s` and no create is left to cancel."""
        answered, since_s = self.records.answered, time.monotonic()
        while self.records.open:
            await asyncio.sleep(TELL_S)
            if self._lost:
                text = f"the log of zone {self._lost} no longer has what comes next; what was submitted goes on"
                raise CommandError(text, UNAVAILABLE)
            if self.records.answered != answered:
                answered, since_s = self.records.answered, time.monotonic()
            elif time.monotonic() - since_s > self.patience_s:
                if not await self._cancel_waiting():
                    return
                since_s = time.monotonic()

    async def _cancel_waiting(self) -> bool:
        """Cancel the creates that wait for a place, if nothing but they holds anything up; whether any was."""
        heads = self.records.heads()
        waiting = [
            unit
            for unit in heads
            if unit.action == "create" and (unit.zone, unit.key) not in self.records.placed | self._waiting_cancelled
        ]
        if not waiting or len(waiting) + len(self._waiting_cancelled) < len(heads):
            return False

        def done(draft: Draft, result: Receipt | BusError) -> None:
            unit = cancels[draft.key]
            if isinstance(result, Receipt):
                self.records.accept(unit, result.ticket)
            else:
                unit.error = str(result)

        cancels: dict[str, Submitted] = {}
        async with Pipeline(self.bus, done) as pipeline:
            for unit in waiting:
                body = cancel_of(unit.ticket or 0, "the replay has ended and there is still no room")
                cancel = Submitted(unit.zone, unit.key, "cancel", body, time.time())
                cancels[unit.key] = cancel
                self.records.units.append(cancel)
                self._waiting_cancelled.add((unit.zone, unit.key))
                await pipeline.send(Draft(unit.zone, unit.key, body))
        self.cancelled_waiting += len(waiting)
        return True

    async def _tell(self) -> None:
        while True:
            self.progress(len(self.records.units), self.records.answered)
            await asyncio.sleep(TELL_S)
