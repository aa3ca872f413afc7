"""The device: what becomes of a request, one at a time, and what brings the world to what its owner says it is.

What a request changed and its answer wait together for the next `commit`, so nothing is told that the books do not
hold. After a commit that failed, memory and file differ: the program must end.
"""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from treeward.device_simulator.calls import Calls, Later
from treeward.device_simulator.faults import FaultSet
from treeward.device_simulator.journal import Entry, Journal
from treeward.device_simulator.ledger import Caller, Ledger
from treeward.device_simulator.operations import redefine
from treeward.device_simulator.site import Site
from treeward.device_simulator.world import Change, RefusedError
from treeward.runtime.device_record import ISOLATE_IS_A_CALL, Decision, DeviceRecord
from treeward.schemas.address import Address
from treeward.schemas.device import Call, Isolate, Observe, Ping, Status, Synchronize
from treeward.schemas.device_control import FaultEffect, StandingFault

JournalSynchronize = Literal["all", "changes", "none"]

REMEMBERS = 8
"""How many answered tickets of each address are remembered, if nobody says otherwise."""


class Engine:
    """Everything between a request and its answer.

    `later(delay_s, step)` runs a step after a delay and returns what takes it back; `wake` is called when something
    waits for `commit`. Both must call back in the thread that calls `handle`.
    """

    def __init__(
        self,
        journal: Journal,
        *,
        clock_s: Callable[[], float],
        later: Later,
        wake: Callable[[], None],
        faults: FaultSet,
        journal_synchronize: JournalSynchronize = "changes",
        remembers: int = REMEMBERS,
    ) -> None:
        self._journal = journal
        self._later = later
        self._journal_synchronize = journal_synchronize
        self._hung: dict[int, list[Callable[[], None]]] = {}
        world, records = journal.load(now_s=clock_s(), remembers=remembers)
        self._ledger = Ledger(journal, clock_s=clock_s, wake=wake)
        self._site = Site(world, records, faults, self._ledger, remembers=remembers)
        self._calls = Calls(self._site, later=later, hang=self._hang)
        self.faults = faults

    def handle(self, request: Synchronize | Call | Observe | Isolate | Ping, caller: Caller) -> None:
        """Carry out one request; its answer is delivered by a later `commit`, or never if a fault says so."""
        match request:
            case Call():
                self._calls.arrive(request, caller)
            case Synchronize():
                self._synchronize(request, caller)
            case Observe():
                address = Address(request.zone, request.kind, request.id)
                unreachable = self._site.unreachable(address, "observe", None)
                status = Status.OK if unreachable is None else Status.UNREACHABLE
                self._site.answer(caller, request.seq, status, address, unreachable, **self._site.memory(address))
            case Isolate():
                self._open(request, caller)
            case Ping():
                self._ledger.say(caller, {"seq": request.seq, "status": Status.OK.value})

    def commit(self) -> None:
        """Write what has happened since the last commit, then deliver the answers that waited for it."""
        self._ledger.commit(self._site.world)

    def clear_faults(self, number: int | None) -> list[StandingFault]:
        """Take away one fault, or all; what hangs because of it goes on now. Returns those taken."""
        cleared = self.faults.clear(number)
        for standing in cleared:
            for resume in self._hung.pop(standing.number, []):
                resume()
        return cleared

    def show(self, address: Address) -> dict[str, Any]:
        """What there is of one address, for people."""
        progress = self._calls.in_progress.get(address)
        return {
            **self._site.state(address),
            **self._site.memory(address),
            "in_progress": None if progress is None else progress.call.ticket,
            "hangs": progress is not None and progress.hangs,
        }

    def tamper(self, address: Address, definition: dict[str, Any] | None) -> str | None:
        """Change what exists as no device would, or take it away. Returns why not; None: it was done.

        The record stays as it was, and the books have a row without ticket and life.
        """
        world = self._site.world
        try:
            resource = world.find(address)
            if address in self._calls.in_progress:
                raise RefusedError("a call is in progress")
            change = world.remove(resource) if definition is None else redefine(world, resource, definition)
        except RefusedError as refusal:
            return str(refusal)
        entry = self._ledger.open(address, "tamper")
        entry.effect = 1
        self._ledger.note(entry, change)
        self._ledger.end(entry, "ok", None)
        return None

    def statistics(self) -> dict[str, Any]:
        """What there is, and what was answered since the start."""
        return {
            "resources": dict(Counter(address.kind for address in self._site.world.resources)),
            "records": len(self._site.records),
            "in_progress": len(self._calls.in_progress),
            "answered": {f"{what} {outcome}": count for (what, outcome), count in self._ledger.counts.items()},
        }

    def close(self) -> None:
        """End the calls in progress as broken off, and write everything."""
        for progress in list(self._calls.in_progress.values()):
            self._calls.break_off(progress, "the device was shut down")
        self.commit()
        self._journal.close()

    def _hang(self, number: int, step: Callable[[], None]) -> None:
        self._hung.setdefault(number, []).append(step)

    def _synchronize(self, request: Synchronize, caller: Caller) -> None:
        step = partial(self._synchronize_now, request, caller)
        if not self.faults:
            step()
            return
        place = self._site.place(Address(request.zone, request.kind, request.id), "synchronize", request.host)
        delay_s = self.faults.delay_s(place)
        hang = self.faults.strike(FaultEffect.HANG, place)
        if hang is not None:
            self._hang(hang.number, step)
        elif delay_s > 0.0:
            self._later(delay_s, step)
        else:
            step()

    def _synchronize_now(self, request: Synchronize, caller: Caller) -> None:
        site = self._site
        address = Address(request.zone, request.kind, request.id)
        entry = self._ledger.open(address, "synchronize")
        entry.life, entry.owner = request.life, request.owner
        status, reason = self._decide_synchronize(request, address, entry)
        lost = bool(self.faults) and site.loses(caller, entry, site.place(address, "synchronize", request.host))
        notable = entry.effect == 1 or status is not Status.OK or entry.fault is not None
        kept = self._journal_synchronize == "all" or (self._journal_synchronize == "changes" and notable)
        self._ledger.end(entry, status.value, reason, kept=kept or entry.effect == 1)
        if not lost:
            isolated = status is Status.UNREACHABLE and site.isolated(address, "synchronize", request.host)
            more = site.memory(address) | ({"isolated": True} if isolated else {})
            site.answer(caller, request.seq, status, address, reason, **more)

    def _decide_synchronize(self, request: Synchronize, address: Address, entry: Entry) -> tuple[Status, str | None]:
        unreachable = self._site.unreachable(address, "synchronize", request.host)
        isolated = self._site.isolated(address, "synchronize", request.host)
        if unreachable is not None and not isolated and address.kind != "host":
            return Status.UNREACHABLE, unreachable
        record = self._site.record(address)
        decision = record.decide_synchronize(life=request.life, owner=request.owner)
        if decision is not Decision.ACCEPT:
            return Status(decision.name.lower()), record.why(decision)
        record.become_accepted(life=request.life, owner=request.owner, emptied=request.absent)
        self._site.records[address] = record
        self._ledger.remember(address, record)
        if unreachable is not None:  # the record is kept here, not there: the life has risen, also for when it is back
            return Status.UNREACHABLE, unreachable
        try:
            made = self._bring_about(request, address, record)
        except RefusedError as refusal:
            return Status.FAILED, str(refusal)
        if made is not None:
            verb, change = made
            entry.operation = f"synchronize-{verb}"
            entry.effect = 1
            self._ledger.note(entry, change)
        return Status.OK, None

    def _bring_about(self, request: Synchronize, address: Address, record: DeviceRecord) -> tuple[str, Change] | None:
        """Make, move or remove what the owner says belongs here or not; raises RefusedError if that cannot be."""
        world = self._site.world
        resource = world.resources.get(address)
        if record.in_progress is not None:
            if request.absent:
                raise RefusedError(f"ticket {record.in_progress} is in progress")
            return None
        if request.absent:
            return None if resource is None else ("remove", world.remove(resource))
        if resource is None:
            if request.definition is None or not record.decide_make(life=request.life):
                return None
            self._site.check_willing(address, request.host)
            return "make", world.make(address, request.definition, request.host)
        if request.host is None or address.kind == "host" or request.host == resource.host:
            return None
        self._site.check_willing(address, request.host)
        return "move", world.move(resource, request.host)

    def _open(self, request: Isolate, caller: Caller) -> None:
        """A person opens an isolated host again, behind everybody's back."""
        world = self._site.world
        address = Address(request.zone, request.kind, request.id)
        entry = self._ledger.open(address, "isolate-undo" if request.undo else "isolate")
        status, reason = Status.OK, None
        if not request.undo:
            status, reason = Status.REFUSED, ISOLATE_IS_A_CALL
        elif (request.zone, request.id) in world.isolated and request.kind == "host":
            world.open(address)
        self._ledger.end(entry, status.value, reason)
        self._site.answer(caller, request.seq, status, address, reason)
