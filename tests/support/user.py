"""A user at a running data centre: submits raw bodies, sees the republished events, and reads the device's books."""

import contextlib
import json
import sqlite3
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self

from tests.support.device import JUDGES, Wire
from tests.support.until import until

from treeward.bus.nats_bus import NatsBus
from treeward.runtime import codec
from treeward.runtime.data_centre.centre import DataCentre
from treeward.schemas import streams, subjects
from treeward.schemas.device_control import ControlAnswer
from treeward.schemas.events import Event


class User:
    """Everything is done through the front door: publishes to WORK, `tw.event.>`, and the simulator's own file."""

    def __init__(self, centre: DataCentre, bus: NatsBus, control: Wire, zone: str) -> None:
        self.centre = centre
        self.bus = bus
        self.zone = zone
        self.events: dict[str, list[Event]] = defaultdict(list)
        """Of each resource of the zone, in the order of the log."""
        self.outcomes: dict[int, list[Event]] = defaultdict(list)
        """All outcomes of a ticket of the zone: there must never be a second one."""
        self._control = control
        self._faults: list[int] = []

    @classmethod
    async def arrive(cls, centre: DataCentre, zone: str) -> Self:
        """Connect and begin to listen."""
        bus = await NatsBus.connect(centre.url, name="user", timeout_s=10)
        user = cls(centre, bus, await Wire.open(centre.control), zone)
        await bus.subscribe(f"tw.event.{zone}.>", user._hear)
        await bus.last(streams.log(zone), subjects.log_of_zone(zone))  # answered behind the subscription
        return user

    async def leave(self) -> None:
        """Take back the faults, and go."""
        with contextlib.suppress(ConnectionError):
            await self.mend()
        await self._control.close()
        await self.bus.close()

    def _hear(self, _subject: str, data: bytes, headers: Mapping[str, str] | None) -> None:
        if "Nats-Sequence" not in (headers or {}):
            return  # not from the log: somebody has published it by hand
        event = codec.event_of(data)
        if event is None:
            return  # what a test has put there
        self.events[event.key].append(event)
        if event.is_outcome and event.ticket is not None:
            self.outcomes[event.ticket].append(event)

    # --- units ---------------------------------------------------------------------------------------------------

    async def raw(self, key: str, body: bytes | str, **headers: str) -> int:
        """Submit a body as it is; returns the ticket."""
        data = body.encode() if isinstance(body, str) else body
        receipt = await self.bus.submit(subjects.work(self.zone, key), data, headers=headers or None, timeout_s=20)
        return receipt.ticket

    async def submit(self, key: str, operation: str, **fields: Any) -> int:
        """Submit a unit; returns the ticket."""
        return await self.raw(key, json.dumps({"operation": operation, **fields}))

    async def outcome(self, ticket: int, timeout_s: float = 40.0) -> Event:
        """The one event that answered a ticket."""
        await until(lambda: self.outcomes.get(ticket), f"an outcome of ticket {ticket}", timeout_s)
        assert len(self.outcomes[ticket]) == 1, f"ticket {ticket} was answered twice: {self.outcomes[ticket]}"
        return self.outcomes[ticket][0]

    async def done(self, key: str, operation: str, **fields: Any) -> Event:
        """Submit a unit that must be completed."""
        event = await self.outcome(await self.submit(key, operation, **fields))
        assert event.type == "completed", event
        return event

    async def event(self, key: str, type_: str, *, ticket: int | None = None, timeout_s: float = 40.0) -> Event:
        """The first event of that type of a resource (about `ticket`, if given)."""
        await until(lambda: self.seen(key, type_, ticket), f"{type_} of {key} (ticket {ticket})", timeout_s)
        return self.seen(key, type_, ticket)[0]

    def seen(self, key: str, type_: str, ticket: int | None = None) -> list[Event]:
        """The events of that type so far."""
        return [event for event in self.events[key] if event.type == type_ and ticket in (None, event.ticket)]

    def types(self, key: str) -> list[str]:
        """What has been said of a resource, in order."""
        return [event.type.value for event in self.events[key]]

    # --- the device ----------------------------------------------------------------------------------------------

    async def fault(self, effect: str, **fields: Any) -> int:
        """Inject a fault; it is taken back when the user leaves."""
        answer = await self.control("fault_add", fault={"effect": effect, "zone": self.zone, **fields})
        assert answer.faults, answer
        self._faults.append(answer.faults[0].number)
        return answer.faults[0].number

    async def mend(self, number: int | None = None) -> None:
        """Take back one fault, or all of this user."""
        for each in self._faults if number is None else [number]:
            await self.control("fault_clear", number=each)

    async def control(self, verb: str, **fields: Any) -> ControlAnswer:
        """Ask the simulator's control interface."""
        return await self._control.control(verb=verb, **fields)

    async def in_progress(self, key: str, ticket: int, timeout_s: float = 20.0) -> None:
        """Return when the device has this ticket of a resource in hand."""
        kind, _, id_ = key.partition(".")

        async def in_hand() -> bool:
            shown = (await self.control("show", zone=self.zone, kind=kind, id=id_)).shown
            return shown is not None and shown["in_progress"] == ticket

        await until(in_hand, f"the device has {key} #{ticket} in hand", timeout_s)

    def calls(self, key: str) -> list[tuple[Any, ...]]:
        """`(ticket, operation, outcome, effect)` of each call that reached the device for a resource, in order."""
        kind, _, id_ = key.partition(".")
        query = (
            "SELECT ticket, operation, outcome, effect FROM calls"
            " WHERE zone = ? AND kind = ? AND resource = ? AND ticket IS NOT NULL ORDER BY id"
        )
        return self.books(query, self.zone, kind, id_)

    def effects(self, key: str) -> list[tuple[int, str]]:
        """`(ticket, operation)` of each change of a resource that took effect, in the order of the effects."""
        kind, _, id_ = key.partition(".")
        query = (
            "SELECT ticket, operation FROM calls WHERE zone = ? AND kind = ? AND resource = ? AND effect = 1"
            " AND ticket IS NOT NULL ORDER BY effect_number"
        )
        return self.books(query, self.zone, kind, id_)

    def exists(self, key: str) -> str | None:
        """The host that the device has it on; None: it does not exist."""
        kind, _, id_ = key.partition(".")
        query = "SELECT host FROM resources WHERE zone = ? AND kind = ? AND resource = ?"
        rows = self.books(query, self.zone, kind, id_)
        return rows[0][0] or "" if rows else None

    def books(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read the books as a judge would."""
        with contextlib.closing(sqlite3.connect(f"file:{self.centre.folder.device}?mode=ro", uri=True)) as file:
            return file.execute(query, values).fetchall()

    def judged(self) -> dict[str, int]:
        """The views of violations that are not empty, with their number of rows."""
        found = {view: self.books(f"SELECT count(*) FROM {view}")[0][0] for view in JUDGES}
        return {view: number for view, number in found.items() if number}


@contextlib.asynccontextmanager
async def at(centre: DataCentre, zone: str = "zone-a") -> AsyncIterator[User]:
    """A user who leaves with the test; by then no ticket has two outcomes, and the books are clean."""
    user = await User.arrive(centre, zone)
    try:
        yield user
    finally:
        await user.leave()
    assert not [ticket for ticket, events in user.outcomes.items() if len(events) > 1]
    assert not user.judged()


async def started_again(centre: DataCentre, *names: str) -> None:
    """Mend the data centre until every program runs (those named have been killed just now)."""

    def mended() -> bool:
        centre.mend(time.monotonic())
        return all(child.process_id is not None for child in centre.programs.values())

    await until(mended)
