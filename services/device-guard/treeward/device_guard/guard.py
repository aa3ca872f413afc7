"""The guard: table 4 of the protocol in front of an adapter.

For each address one thing happens at a time. What a call intends is on the disk before the adapter is asked, and what
came of it before anybody is told. A call runs outside of its address's turn, so that others are told `busy` or wait for
it; all else holds the turn.
"""

import asyncio
import secrets
from dataclasses import dataclass, field
from typing import Any, Protocol

import pydantic_core

from treeward.device_guard.adapter import Adapter, Errand, Finish, State, Told, Verb
from treeward.device_guard.bring_about import decide_definition, decide_errand
from treeward.device_guard.record_file import Kept, RecordFile
from treeward.runtime.device_record import ISOLATE_IS_A_CALL, Decision, no_such_host
from treeward.schemas.address import Address
from treeward.schemas.device import Call, Isolate, Observe, Ping, Status, Synchronize
from treeward.telemetry.logs import Log

WAITING_MAX = 64
"""So many requests may wait for the turn of one address; more are told `busy`."""


class Caller(Protocol):
    """Where an answer goes; the connection may be gone by then."""

    def deliver(self, line: bytes) -> None:
        """Send one line."""


@dataclass(slots=True)
class Place:
    """One address while the guard runs."""

    kept: Kept
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    queued: int = 0
    waiting: list[tuple[Caller, int]] = field(default_factory=list)
    """Who waits for the call in progress."""
    isolated: bool = False
    """The run in progress is not to begin, or was ended, because of `isolate`."""


class Guard:
    """Serves requests; `handle` starts their work in `tasks`, and any error there must end the program."""

    def __init__(
        self, file: RecordFile, adapter: Adapter, tasks: asyncio.TaskGroup, log: Log, *, patience_s: float
    ) -> None:
        self._file = file
        self._adapter = adapter
        self._tasks = tasks
        self._log = log
        self._patience_s = patience_s
        self.ending = False
        """Nothing new is begun."""
        kept, self._isolated = file.load()
        self._places = {address: Place(one) for address, one in kept.items()}
        left_over = [place for place in self._places.values() if place.kept.run is not None]
        for place in left_over:
            tasks.create_task(self._end_left_over(place))
        fenced = [place for place in left_over if self._is_isolated(place.kept, None)]
        for zone, host in self._isolated:
            on_it = [place for place in fenced if (place.kept.address.zone, place.kept.host) == (zone, host)]
            tasks.create_task(self._wait_for_left_over(self._place(Address(zone, "host", host)), on_it))

    @property
    def calls(self) -> int:
        """How many calls are in progress, or not answered yet."""
        return sum(place.kept.run is not None or bool(place.waiting) for place in self._places.values())

    def handle(self, request: Synchronize | Call | Observe | Isolate | Ping, caller: Caller) -> None:
        """Begin one request; its answer is delivered when it is known."""
        match request:
            case Ping():
                say(caller, {"seq": request.seq, "status": Status.OK.value})
            case _:
                place = self._place(Address(request.zone, request.kind, request.id))
                if self.ending:
                    self._answer(caller, request.seq, Status.UNREACHABLE, place.kept, "the guard is being stopped")
                elif place.queued >= WAITING_MAX:
                    self._answer(
                        caller, request.seq, Status.BUSY, place.kept, f"{WAITING_MAX} requests wait for it already"
                    )
                else:
                    place.queued += 1
                    self._tasks.create_task(self._in_turn(place, request, caller))

    async def _in_turn(self, place: Place, request: Synchronize | Call | Observe | Isolate, caller: Caller) -> None:
        async with place.turn:
            place.queued -= 1
            match request:
                case Call():
                    await self._call(place, request, caller)
                case Synchronize():
                    await self._synchronize(place, request, caller)
                case Isolate():
                    await self._open(place, request, caller)
                case _:
                    await self._observe(place, request, caller)

    # --- calls ---------------------------------------------------------------------------------------------------

    async def _call(self, place: Place, call: Call, caller: Caller) -> None:
        kept, record = place.kept, place.kept.record
        if self._is_isolated(kept, call.host):
            isolated = f"host {call.host or kept.host} is isolated"
            self._answer(caller, call.seq, Status.UNREACHABLE, kept, isolated, isolated=True)
            return
        match record.decide_call(life=call.life, owner=call.owner, ticket=call.ticket):
            case Decision.RUN if call.operation == "isolate" and call.kind == "host":
                await self._isolate(place, call, caller)
            case Decision.RUN:
                await self._begin(place, call, caller)
            case Decision.JOIN:
                place.waiting.append((caller, call.seq))
            case Decision.REMEMBERED:
                status = Status.APPLIED if record.applied else Status.REFUSED
                self._answer(caller, call.seq, status, kept, record.reason)
            case decision:
                self._answer(caller, call.seq, Status(decision.name.lower()), kept, record.why(decision))

    async def _begin(self, place: Place, call: Call, caller: Caller) -> None:
        """Write down the intention, then act; whoever is killed in between finds it again."""
        kept, record = place.kept, place.kept.record
        again = call.ticket == record.begun
        if not again:
            kept.existed = kept.state.exists
        begun_before, host_before = record.begun, kept.host
        record.become_begun(life=call.life, owner=call.owner, ticket=call.ticket)
        kept.host = call.host or kept.host
        kept.run = secrets.token_hex(16)
        place.waiting = [(caller, call.seq)]
        place.isolated = False
        errand = Errand(
            kept.run, Verb.CALL, kept.address, kept.host, call.life, call.ticket, call.operation, call.spec,
            definition=decide_definition(call, kept.state), existed=kept.existed, again=again, trace=call.trace,
        )  # fmt: skip
        await self._file.save(kept)
        self._tasks.create_task(self._carry_out(place, errand, begun_before=begun_before, host_before=host_before))

    async def _carry_out(self, place: Place, errand: Errand, *, begun_before: int, host_before: str | None) -> None:
        kept, record = place.kept, place.kept.record
        told = await self._act(place, errand)
        status, reason, isolated = Status.FAILED, told.reason, place.isolated
        if isolated:
            status, reason = Status.UNREACHABLE, f"host {kept.host} was isolated"
        if told.finish is Finish.UNREACHABLE:
            record.become_withdrawn(begun=record.begun if errand.again else begun_before)
            kept.host = host_before
            status = Status.UNREACHABLE
        elif isolated:
            record.become_broken_off()
        elif told.finish is Finish.OK:
            kept.state = await self._state_after(errand, told)
            record.become_answered(applied=True)
            if errand.operation == "destroy":
                self._open_anew(kept.address)
            status = Status.APPLIED
        elif told.finish is Finish.REFUSED:
            reason = told.reason or "the adapter refuses and does not say why"
            kept.state = await self._state_after(errand, told)
            record.become_answered(applied=False, reason=reason)
            status = Status.REFUSED
        else:
            record.become_broken_off()
        kept.run = None
        await self._file.save(kept)
        waiting, place.waiting = place.waiting, []
        for caller, seq in waiting:
            self._answer(caller, seq, status, kept, reason, isolated=isolated)

    async def _act(self, place: Place, errand: Errand) -> Told:
        """Start it, unless its host was isolated after its run was named: `isolate` has found nothing to end then."""
        if place.isolated:
            return Told(Finish.UNREACHABLE)
        return await self._adapter.carry_out(errand)

    async def _state_after(self, errand: Errand, told: Told) -> State:
        """What exists now. If nobody can say, something does: what is said to be absent is placed elsewhere."""
        if told.state is not None:
            return told.state
        seen = await self._look(errand.address, errand.host)
        if seen.finish is Finish.OK and seen.state is not None:
            return seen.state
        return State(exists=True, definition=errand.definition or errand.spec)

    # --- synchronize and observe ---------------------------------------------------------------------------------

    async def _synchronize(self, place: Place, request: Synchronize, caller: Caller) -> None:
        kept, record = place.kept, place.kept.record
        decision = record.decide_synchronize(life=request.life, owner=request.owner)
        if decision is not Decision.ACCEPT:
            self._answer(caller, request.seq, Status(decision.name.lower()), kept, record.why(decision))
            return
        record.become_accepted(life=request.life, owner=request.owner, emptied=request.absent)
        await self._file.save(kept)
        if self._is_isolated(kept, request.host):  # the record is here, not there: the life has risen all the same
            isolated = f"host {request.host or kept.host} is isolated"
            self._answer(caller, request.seq, Status.UNREACHABLE, kept, isolated, isolated=True)
            return
        if record.in_progress is not None:
            failed = f"ticket {record.in_progress} is in progress" if request.absent else None
            self._answer(caller, request.seq, Status.FAILED if failed else Status.OK, kept, failed)
            return
        told = await self._look(kept.address, request.host or kept.host)
        if told.finish is not Finish.OK or told.state is None:
            self._answer(
                caller, request.seq, Status.UNREACHABLE, kept, told.reason or "the adapter does not tell what exists"
            )
            return
        kept.state = told.state
        if told.ticket is not None and told.ticket == record.begun > record.last:
            record.become_found_applied()
            if kept.existed and not told.state.exists:
                self._open_anew(kept.address)
            self._log.info("found out what a call came to", resource=str(kept.address), ticket=record.last)
        status, reason = await self._bring_about(place, request, told)
        await self._file.save(kept)
        self._answer(caller, request.seq, status, kept, reason, isolated=status is Status.UNREACHABLE)

    async def _bring_about(self, place: Place, request: Synchronize, told: Told) -> tuple[Status, str | None]:
        """Make, move or remove what the owner says belongs here or not. UNREACHABLE: its host was isolated."""
        kept = place.kept
        errand = decide_errand(request, kept.record, kept.state, at_host=told.host, run=secrets.token_hex(16))
        if errand is None:
            return Status.OK, None
        # It may have been isolated while the adapter looked; from here on `isolate` finds the run.
        host_before, kept.host = kept.host, request.host or kept.host
        kept.run, place.isolated = errand.run, self._is_isolated(kept, kept.host)
        await self._file.save(kept)
        done = await self._act(place, errand)
        if done.finish is Finish.UNREACHABLE:  # nothing was changed
            kept.host = host_before
        else:
            kept.state = await self._state_after(errand, done)
        kept.run = None
        if place.isolated:
            return Status.UNREACHABLE, f"host {errand.host or kept.host} is isolated"
        if done.finish is Finish.OK:
            if errand.verb is Verb.REMOVE:
                self._open_anew(kept.address)
            return Status.OK, None
        return Status.FAILED, done.reason or f"the adapter could not {errand.verb} it"

    async def _observe(self, place: Place, request: Observe, caller: Caller) -> None:
        kept = place.kept
        if kept.record.in_progress is None:
            told = await self._look(kept.address, kept.host)
            if told.finish is not Finish.OK or told.state is None:
                self._answer(caller, request.seq, Status.UNREACHABLE, kept, told.reason)
                return
            kept.state = told.state
        self._answer(caller, request.seq, Status.OK, kept, None)
        if kept.record == type(kept.record)() and not kept.state.exists and not place.queued:
            self._places.pop(kept.address, None)  # nobody but curiosity has ever asked for it

    async def _look(self, address: Address, host: str | None) -> Told:
        return await self._adapter.carry_out(Errand(secrets.token_hex(16), Verb.OBSERVE, address, host))

    # --- isolation, and what an earlier guard has left -------------------------------------------------------------

    async def _isolate(self, place: Place, call: Call, caller: Caller) -> None:
        """Fence a host. Record and fence are on the disk together; when it is told, nothing runs there any more."""
        kept, record = place.kept, place.kept.record
        if not kept.state.exists:  # it may exist all the same: nobody has asked the adapter yet
            kept.state = (await self._look(kept.address, kept.host)).state or kept.state
        record.become_begun(life=call.life, owner=call.owner, ticket=call.ticket)
        if not kept.state.exists:
            record.become_answered(applied=False, reason=no_such_host(kept.address))
            await self._file.save(kept)
            self._answer(caller, call.seq, Status.REFUSED, kept, record.reason)
            return
        name = (call.zone, call.id)
        record.become_answered(applied=True)
        self._file.set_isolated(*name, True)
        await self._file.save(kept)
        self._isolated.add(name)
        runs = []
        for other in self._places.values():
            if other.kept.run is not None and self._is_isolated(other.kept, None):
                other.isolated = True
                runs.append(other.kept.run)
        for run in runs:  # one that is over meanwhile is not confused with the next of its address, elsewhere
            await self._adapter.end(run, patience_s=0.0)
        self._answer(caller, call.seq, Status.APPLIED, kept, None)

    async def _open(self, place: Place, request: Isolate, caller: Caller) -> None:
        """A person opens an isolated host again."""
        kept = place.kept
        if request.undo:
            self._open_anew(kept.address)
            await self._file.save(kept)
        status, reason = (Status.OK, None) if request.undo else (Status.REFUSED, ISOLATE_IS_A_CALL)
        self._answer(caller, request.seq, status, kept, reason)

    async def _wait_for_left_over(self, host: Place, left_over: list[Place]) -> None:
        """An isolated host answers when nothing is left there of what an earlier guard had begun."""
        async with host.turn:
            for place in left_over:
                async with place.turn:
                    pass

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
            await self._file.save(kept)

    # --- small things --------------------------------------------------------------------------------------------

    def _place(self, address: Address) -> Place:
        place = self._places.get(address)
        if place is None:
            place = self._places[address] = Place(Kept(address))
        return place

    def _is_isolated(self, kept: Kept, host: str | None) -> bool:
        """Whether it is on an isolated host, or meant for one; the host itself can always be asked."""
        return kept.address.kind != "host" and (kept.address.zone, host or kept.host) in self._isolated

    def _open_anew(self, address: Address) -> None:
        """It was destroyed. If it was an isolated host, the next one of its name is open."""
        name = (address.zone, address.id)
        if address.kind == "host" and name in self._isolated:
            self._isolated.discard(name)
            self._file.set_isolated(*name, False)

    def _answer(
        self, caller: Caller, seq: int, status: Status, kept: Kept, reason: str | None, *, isolated: bool = False
    ) -> None:
        """Tell the record and what exists."""
        record, state, address = kept.record, kept.state, kept.address
        isolated = isolated or (address.kind == "host" and (address.zone, address.id) in self._isolated)
        fields: dict[str, Any] = {
            "seq": seq, "status": status.value, "reason": reason, "high": record.high, "owner": record.owner,
            "last": record.last, "last_applied": record.applied, "last_reason": record.reason, "begun": record.begun,
            "exists": state.exists, "definition": state.definition, "observed": state.observed, "isolated": isolated,
        }  # fmt: skip
        say(caller, fields)


def say(caller: Caller, fields: dict[str, Any]) -> None:
    """Send one answer."""
    caller.deliver(pydantic_core.to_json(fields, exclude_none=True) + b"\n")
