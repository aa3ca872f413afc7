"""The guard: table 4 of the protocol in front of an adapter.

For each address one thing happens at a time: whatever is asked of it waits for its turn, first for that of what an
earlier guard has left there.
"""

import asyncio

from treeward.device_guard.adapter import Adapter
from treeward.device_guard.answers import Caller, say
from treeward.device_guard.calls import Calls
from treeward.device_guard.errands import Errands
from treeward.device_guard.isolation import Isolation
from treeward.device_guard.places import Place, Places
from treeward.device_guard.record_file import RecordFile
from treeward.device_guard.synchronizing import Synchronizing
from treeward.schemas.address import Address
from treeward.schemas.device import Call, Isolate, Observe, Ping, Status, Synchronize
from treeward.telemetry.logs import Log

WAITING_MAX = 64
"""So many requests may wait for the turn of one address; more are told `busy`."""


class Guard:
    """Serves requests; `handle` starts their work in `tasks`, and any error there must end the program."""

    def __init__(
        self, file: RecordFile, adapter: Adapter, tasks: asyncio.TaskGroup, log: Log, *, patience_s: float
    ) -> None:
        self._adapter = adapter
        self._tasks = tasks
        self._log = log
        self._patience_s = patience_s
        self.ending = False
        """Nothing new is begun."""
        self._places = Places(file)
        errands = Errands(adapter)
        self._isolation = Isolation(self._places, errands, adapter)
        self._calls = Calls(self._places, errands, self._isolation, tasks)
        self._synchronizing = Synchronizing(self._places, errands, log)
        left_over = [place for place in self._places if place.kept.run is not None]
        for place in left_over:
            tasks.create_task(self._end_left_over(place))
        fenced = [place for place in left_over if self._places.is_isolated(place.kept)]
        for host in self._places.isolated:
            on_it = [place for place in fenced if (place.kept.address.zone, place.kept.host) == (host.zone, host.id)]
            tasks.create_task(self._wait_for_left_over(self._places.at(host), on_it))

    @property
    def calls(self) -> int:
        """How many calls are in progress, or not answered yet."""
        return sum(place.kept.run is not None or bool(place.waiting) for place in self._places)

    def handle(self, request: Synchronize | Call | Observe | Isolate | Ping, caller: Caller) -> None:
        """Begin one request; its answer is delivered when it is known."""
        if isinstance(request, Ping):
            say(caller, {"seq": request.seq, "status": Status.OK.value})
            return
        place = self._places.at(Address(request.zone, request.kind, request.id))
        if self.ending:
            self._places.answer(caller, request.seq, Status.UNREACHABLE, place.kept, "the guard is being stopped")
        elif place.queued >= WAITING_MAX:
            full = f"{WAITING_MAX} requests wait for it already"
            self._places.answer(caller, request.seq, Status.BUSY, place.kept, full)
        else:
            place.queued += 1
            self._tasks.create_task(self._in_turn(place, request, caller))

    async def _in_turn(self, place: Place, request: Synchronize | Call | Observe | Isolate, caller: Caller) -> None:
        async with place.turn:
            place.queued -= 1
            match request:
                case Call():
                    await self._calls.take(place, request, caller)
                case Synchronize():
                    await self._synchronizing.synchronize(place, request, caller)
                case Isolate():
                    await self._isolation.open(place, request, caller)
                case _:
                    await self._synchronizing.observe(place, request, caller)

    # --- what an earlier guard has left --------------------------------------------------------------------------

    async def _end_left_over(self, place: Place) -> None:
        """Before anything is said of an address, what a guard that was killed had begun there must be over."""
        async with place.turn:
            kept = place.kept
            assert kept.run is not None
            found = await self._adapter.end(kept.run, patience_s=self._patience_s)
            self._log.warning(
                "an earlier guard was killed in the middle of a call", resource=str(kept.address),
                begun=kept.record.begun, last=kept.record.last, still_running=found,
            )  # fmt: skip
            kept.run = None
            await self._places.save(kept)

    async def _wait_for_left_over(self, host: Place, left_over: list[Place]) -> None:
        """An isolated host answers when nothing is left there of what an earlier guard had begun."""
        async with host.turn:
            for place in left_over:
                async with place.turn:
                    pass
