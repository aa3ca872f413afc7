"""Calls from their arrival to their answer: table 4, then the operation, with what faults make of it.

A call is decided and carried out in one step, unless a fault makes it take time: then it is in progress between two
steps, and its effect comes with the second.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from treeward.device_simulator.journal import Entry
from treeward.device_simulator.ledger import Caller
from treeward.device_simulator.operations import carry_out, leave_halfway
from treeward.device_simulator.site import Site
from treeward.device_simulator.world import RefusedError
from treeward.runtime.device_record import Decision, DeviceRecord
from treeward.schemas.address import Address
from treeward.schemas.device import Call, Status
from treeward.schemas.device_control import FaultEffect

Later = Callable[[float, Callable[[], None]], Callable[[], None]]
"""Run a step after so many seconds; returns what takes it back."""


@dataclass(slots=True)
class Waiting:
    """One who waits for the answer to a call; a repeated call has a row of its own."""

    caller: Caller
    seq: int
    entry: Entry | None = None


@dataclass(slots=True)
class Progress:
    """A call between its beginning and its end."""

    call: Call
    address: Address
    entry: Entry
    host: str | None
    waiting: list[Waiting]
    hangs: bool = False
    over: bool = False
    cancel_timer: Callable[[], None] = field(default=lambda: None)


class Calls:
    """The calls in progress, and how each comes to its end."""

    def __init__(self, site: Site, *, later: Later, hang: Callable[[int, Callable[[], None]], None]) -> None:
        self._site = site
        self._later = later
        self._hang = hang
        self.in_progress: dict[Address, Progress] = {}

    def arrive(self, call: Call, caller: Caller) -> None:
        """Decide by table 4 what becomes of a call, and begin it if it is to run."""
        site, ledger = self._site, self._site.ledger
        address = Address(call.zone, call.kind, call.id)
        entry = ledger.open(address, call.operation)
        entry.ticket, entry.life, entry.owner, entry.trace = call.ticket, call.life, call.owner, call.trace
        unreachable = site.unreachable(address, call.operation, call.host, is_call=True)
        if unreachable is not None:
            ledger.end(entry, "unreachable", unreachable)
            site.answer(caller, call.seq, Status.UNREACHABLE, address, unreachable)
            return
        record = site.record(address)
        decision = record.decide_call(life=call.life, owner=call.owner, ticket=call.ticket)
        if decision is Decision.FENCED and site.faults:
            place = site.place(address, call.operation, call.host, is_call=True)
            standing = site.faults.strike(FaultEffect.FENCE_OFF, place)
            if standing is not None:
                entry.fault = f"fence_off {standing.number}"
                decision = record.decide_ticket(call.ticket)
        match decision:
            case Decision.RUN:
                site.records[address] = record
                self._begin(call, address, record, entry, caller)
            case Decision.JOIN:
                ledger.keep(entry)
                self.in_progress[address].waiting.append(Waiting(caller, call.seq, entry))
            case Decision.REMEMBERED:
                known = record.recall(call.ticket)
                status = Status.APPLIED if known.applied else Status.REFUSED
                ledger.end(entry, "remembered", known.reason)
                site.answer(caller, call.seq, status, address, known.reason)
            case _:
                status = Status(decision.name.lower())
                reason = record.why(decision)
                ledger.end(entry, status.value, reason)
                site.answer(caller, call.seq, status, address, reason)

    def break_off(self, progress: Progress, reason: str) -> None:
        """End a call in progress without effect; it is not remembered."""
        progress.cancel_timer()
        self._site.records[progress.address].become_broken_off()
        self._end(progress, Status.UNREACHABLE, "broken_off", reason)

    def _begin(self, call: Call, address: Address, record: DeviceRecord, entry: Entry, caller: Caller) -> None:
        site = self._site
        record.become_begun(life=call.life, owner=call.owner, ticket=call.ticket)
        site.ledger.remember(address, record)
        resource = site.world.resources.get(address)
        host = call.host if resource is None else resource.host
        progress = Progress(call, address, entry, host, [Waiting(caller, call.seq)])
        if not site.faults:
            self._carry_out(progress)
            return
        place = site.place(address, call.operation, call.host, is_call=True)
        delay_s = site.faults.delay_s(place)
        hang = site.faults.strike(FaultEffect.HANG, place)
        if hang is None and delay_s == 0.0:
            self._carry_out(progress)
            return
        self.in_progress[address] = progress
        site.ledger.keep(entry)
        if hang is not None:
            progress.hangs = True
            entry.fault = f"hang {hang.number}"
            self._hang(hang.number, partial(self._resume, progress))
        else:
            progress.cancel_timer = self._later(delay_s, partial(self._resume, progress))

    def _resume(self, progress: Progress) -> None:
        """The second step of a call that took time, unless it was broken off meanwhile."""
        if progress.over:
            return
        call = progress.call
        unreachable = self._site.unreachable(progress.address, call.operation, call.host, is_call=True)
        if unreachable is not None:
            self.break_off(progress, unreachable)
        else:
            self._carry_out(progress)

    def _carry_out(self, progress: Progress) -> None:
        record = self._site.records[progress.address]
        status, reason = self._decide(progress)
        if status is Status.FAILED:
            record.become_broken_off()
        else:
            record.become_answered(applied=status is Status.APPLIED, reason=reason)
        self._end(progress, status, status.value, reason)

    def _decide(self, progress: Progress) -> tuple[Status, str | None]:
        """Change the world, or find out why not; the row learns what changed."""
        call, address, entry = progress.call, progress.address, progress.entry
        site = self._site
        try:
            if site.faults:
                place = site.place(address, call.operation, call.host, is_call=True)
                refuse = site.faults.strike(FaultEffect.REFUSE, place)
                if refuse is not None:
                    entry.fault = f"refuse {refuse.number}"
                    return Status.REFUSED, refuse.fault.reason or "the device refuses (injected fault)"
                fail = site.faults.strike(FaultEffect.FAIL, place)
                if fail is not None:
                    entry.fault = f"fail {fail.number}"
                    change, left = leave_halfway(
                        site.world, address, call.operation, call.spec, call.host, ticket=call.ticket
                    )
                    entry.residue = 1
                    site.ledger.note(entry, change)
                    return Status.FAILED, f"{fail.fault.reason or 'injected fault'}: {left}"
            change = carry_out(site.world, address, call.operation, call.spec, call.host, ticket=call.ticket)
            if call.operation == "isolate":
                self._end_on(address)
        except RefusedError as refusal:
            return Status.REFUSED, str(refusal)
        entry.effect = 1
        site.ledger.note(entry, change)
        return Status.APPLIED, None

    def _end_on(self, host: Address) -> None:
        """It was isolated: what is in progress on it never takes effect."""
        for other in list(self.in_progress.values()):
            if (other.address.zone, other.host) == (host.zone, host.id) and other.address != host:
                self.break_off(other, f"host {host.id} was isolated")

    def _end(self, progress: Progress, status: Status, outcome: str, reason: str | None) -> None:
        site, address, entry, call = self._site, progress.address, progress.entry, progress.call
        progress.over = True
        self.in_progress.pop(address, None)
        site.ledger.remember(address, site.records[address])
        site.ledger.end(entry, outcome, reason)
        for waiting in progress.waiting:
            if waiting.entry is not None:
                site.ledger.end(waiting.entry, "joined", reason)
            elif site.faults:
                place = site.place(address, call.operation, call.host, is_call=True)
                if site.loses(waiting.caller, entry, place):
                    continue
            site.answer(waiting.caller, waiting.seq, status, address, reason)
