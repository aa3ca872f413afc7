"""The loop of an owner: feeds a pure fold with mailbox, device and log, and carries out what it decides.

One loop serves the owner of a pod, of a zone and of root: a supervisor is a process whose device is its children.
Nothing here decides. It ends by itself only by giving up: refused by log or device, or in doubt.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from treeward.bus.interface import AppendResult, BusError, Guard, InDoubt, Reader, Refused, Since, Stored
from treeward.runtime import codec
from treeward.runtime.context import Context
from treeward.runtime.device_client import Device
from treeward.runtime.device_requests import fields_of
from treeward.runtime.last_events import LastEvents
from treeward.runtime.owner_telemetry import OwnerTelemetry
from treeward.runtime.tasks import Tasks
from treeward.schemas import streams, subjects
from treeward.schemas.address import ZONE_PARTITION
from treeward.schemas.device import Answer
from treeward.schemas.events import Event
from treeward.schemas.mailbox import Message
from treeward.schemas.places import PlaceSaid
from treeward.supervision import effects
from treeward.supervision.effects import Effect

TICK_S = 0.05
ASK_PLACE_S = 2.0
MAILBOX_MARGIN_S = 5.0
"""How far before its claim an owner begins to read its mailbox: servers' clocks may differ by that much."""


class Owner(Protocol):
    """A pure fold that owns a branch."""

    epoch: int
    effects: list[Effect]
    dropped: int

    def on_message(self, key: str, message: Message, now_s: float) -> None: ...  # noqa: D102

    def on_fetched(self, key: str, position: int, event: Event | None, now_s: float) -> None: ...  # noqa: D102

    def on_appended(self, token: int, position: int, now_s: float) -> None: ...  # noqa: D102

    def tick(self, now_s: float) -> None: ...  # noqa: D102

    def stop_taking(self) -> None: ...  # noqa: D102

    def give_up(self, reason: str, *, fenced: bool) -> None: ...  # noqa: D102

    @property
    def drained(self) -> bool: ...  # noqa: D102


class DeviceOwner(Owner, Protocol):
    """An owner that acts on a device."""

    def on_answer(self, key: str, token: int, answer: Answer, now_s: float) -> None: ...  # noqa: D102

    def on_place(self, key: str, token: int, said: PlaceSaid | None, now_s: float) -> None: ...  # noqa: D102


class OwnerLoop:
    """One owner at work. `gave_up(reason, fenced)` is called once if it has to stop; `close` ends it from outside."""

    def __init__(
        self,
        context: Context,
        owner: Owner,
        *,
        zone: str,
        partition: str,
        claim_subject: str,
        claimed_s: float,
        gave_up: Callable[[str, bool], None],
        device: Device | None = None,
        perform: Callable[[Effect], None] | None = None,
    ) -> None:
        self.context = context
        self.owner = owner
        self.zone = zone
        self.partition = partition
        self.telemetry = OwnerTelemetry(context, zone, partition, owner.epoch)
        self._claimed_s = claimed_s
        self._gave_up = gave_up
        self._device = device
        self._perform = perform
        self._appender = context.bus.appender(streams.log(zone), Guard(claim_subject, owner.epoch))
        self._fetches = LastEvents(context.bus, zone, self._on_fetched)
        self._reader: Reader | None = None
        self._tasks = Tasks()
        self._ticking = False
        self._requests: dict[int, int] = {}
        """Token of the fold -> number of the device request."""
        self._carrying = False
        self._now_s = 0.0
        """When what is being carried out was caused."""
        self.closed = False

    async def start(self) -> None:
        """Begin to read the mailbox, from a little before the claim: a dispatcher may have been quicker than we."""
        self._reader = await self.context.bus.read(
            streams.mailbox(self.zone),
            subjects.mailbox_of(self.zone, self.partition),
            Since(self._claimed_s - MAILBOX_MARGIN_S),
            self._on_stored,
            on_lost=self._on_mailbox_lost,
        )
        if self.closed:
            await self._reader.close()
            return
        if not self._ticking:
            self._ticking = True
            self._tasks.spawn(self._tick(), name=f"owner of {self.zone}.{self.partition}")

    async def close(self) -> None:
        """Stop at once: what is in hand stays unanswered, and is sent again to the next owner."""
        self.closed = True
        self._appender.close()
        self._fetches.close()
        for number in self._requests.values():
            if self._device is not None:
                self._device.cancel(number)
        self._requests.clear()
        self._tasks.close()
        if self._reader is not None:
            await self._reader.close()

    def carry_out(self, now_s: float | None = None) -> None:
        """Carry out what the fold has decided since, in order; `now_s`: when what made it decide was heard."""
        if self._carrying or self.closed or not self.owner.effects:
            return
        self._carrying = True
        self._now_s = self.context.now_s() if now_s is None else now_s
        try:
            while self.owner.effects and not self.closed:
                batch, self.owner.effects = self.owner.effects, []
                for effect in batch:
                    if self.closed:
                        return
                    self._carry_out(effect)
        finally:
            self._carrying = False

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case effects.Append():
                self._append(effect)
            case effects.Call() | effects.Synchronize() | effects.Observe():
                self._request(effect)
            case effects.Abandon(token):
                number = self._requests.pop(token, None)
                if number is not None and self._device is not None:
                    self._device.cancel(number)
            case effects.Fetch(key, at_least):
                self._fetches.fetch(key, at_least)
            case effects.Suspect():
                self.telemetry.suspects_itself(effect)
            case effects.AskPlace():
                self._tasks.spawn(self._ask_place(effect))
            case effects.GiveUp(reason, fenced):
                self.closed = True
                self._gave_up(reason, fenced)
            case _:
                assert self._perform is not None, f"nobody performs {effect}"
                self._perform(effect)

    # --- log -----------------------------------------------------------------------------------------------------

    def _append(self, effect: effects.Append) -> None:
        """Append; the appender stores the events of one resource in this order, or not at all (PROTOCOL H16)."""
        begun_s = self._now_s
        trace = self.telemetry.context_of(effect)
        drafts = [codec.draft_of(event, instance=self.context.instance, trace=trace) for event in effect.events]

        def done(result: AppendResult) -> None:
            if self.closed:
                return
            now_s = self.context.now_s()
            if isinstance(result, Refused):
                self.telemetry.refused(effect, result)
                self.owner.give_up(
                    f"the log refused an append: {result.description} ({result.code})", fenced=result.fenced
                )
            elif isinstance(result, InDoubt):
                self.telemetry.in_doubt()
                self.owner.give_up(f"an append is in doubt: {result.reason}", fenced=False)
            else:
                self.telemetry.appended(effect, trace, begun_s, now_s)
                self._now_s = now_s
                self.owner.on_appended(effect.token, result, now_s)
            self.carry_out(now_s)

        self._appender.append(drafts, done)

    # --- the zone's owner ----------------------------------------------------------------------------------------

    async def _ask_place(self, effect: effects.AskPlace) -> None:
        subject = subjects.owner_api("place", self.zone, ZONE_PARTITION)
        body = effect.asked.model_dump_json().encode()
        answer = await self.context.bus.request(subject, body, timeout_s=ASK_PLACE_S)
        owner: DeviceOwner = self.owner  # type: ignore[assignment]  # only device owners ask for places
        owner.on_place(effect.key, effect.token, codec.place_said_of(answer), self.context.now_s())
        self.carry_out()

    # --- device --------------------------------------------------------------------------------------------------

    def _request(self, effect: effects.DeviceRequest) -> None:
        assert self._device is not None, "only an owner with a device asks one"
        begun_s = self._now_s
        trace = self.telemetry.begin_request(effect)
        fields = fields_of(effect, zone=self.zone, owner=self.context.instance, trace=trace)

        def done(answer: Answer) -> None:
            self._requests.pop(effect.token, None)
            if self.closed:
                return
            now_s = self.context.now_s()
            self.telemetry.end_request(effect, trace, answer, begun_s, now_s)
            owner: DeviceOwner = self.owner  # type: ignore[assignment]  # only device owners ask a device
            owner.on_answer(effect.key, effect.token, answer, now_s)
            self.carry_out(now_s)

        self._requests[effect.token] = self._device.request(fields, done)

    # --- mailbox, fetches, time ----------------------------------------------------------------------------------

    def _on_stored(self, stored: Stored) -> None:
        if self.closed:
            return
        message = codec.message_of(stored.data)
        if message is None:
            self.context.log.warning("a mailbox message cannot be read and is dropped", subject=stored.subject)
            return
        now_s = self.context.now_s()
        self.owner.on_message(subjects.parse_mailbox(stored.subject)[2], message, now_s)
        self.carry_out(now_s)

    def _on_mailbox_lost(self) -> None:
        """The memory stream was lost or made anew: what was in it is sent again, we only read on."""
        if not self.closed:
            self.context.log.warning(
                "the mailbox lost messages; what was in it will be sent again", partition=self.partition
            )
            self._claimed_s = self.context.now_s()
            self._tasks.spawn(self._restart())

    async def _restart(self) -> None:
        try:
            await self.start()
        except BusError as error:  # it is gone as a whole: whoever keeps the streams makes it again meanwhile
            if not self.closed:
                self.owner.give_up(f"the mailbox cannot be read: {error}", fenced=False)
                self.carry_out()

    def _on_fetched(self, key: str, position: int, event: Event | None) -> None:
        if not self.closed:
            self.owner.on_fetched(key, position, event, self.context.now_s())
            self.carry_out()

    async def _tick(self) -> None:
        while not self.closed:
            await asyncio.sleep(TICK_S)
            self.owner.tick(self.context.now_s())
            self.telemetry.dropped(self.owner.dropped)
            self.carry_out()
