"""A new life: what exists is found out, and what its owner says belongs here is brought about.

Both hold the turn of their address to their end.
"""

from treeward.device_guard.adapter import Finish, Told, Verb
from treeward.device_guard.answers import Caller
from treeward.device_guard.bring_about import decide_errand
from treeward.device_guard.errands import Errands, new_run
from treeward.device_guard.places import Place, Places
from treeward.runtime.device_record import Decision, DeviceRecord
from treeward.schemas.device import Observe, Status, Synchronize
from treeward.telemetry.logs import Log


class Synchronizing:
    """Accepts lives, and tells what exists to whoever asks."""

    def __init__(self, places: Places, errands: Errands, log: Log) -> None:
        self._places = places
        self._errands = errands
        self._log = log

    async def synchronize(self, place: Place, request: Synchronize, caller: Caller) -> None:
        """Accept the life, unless a higher one was; the record is on the disk before the adapter looks."""
        kept, record = place.kept, place.kept.record
        decision = record.decide_synchronize(life=request.life, owner=request.owner)
        if decision is not Decision.ACCEPT:
            self._places.answer(caller, request.seq, Status(decision.name.lower()), kept, record.why(decision))
            return
        record.become_accepted(life=request.life, owner=request.owner, emptied=request.absent)
        await self._places.save(kept)
        if self._places.is_isolated(kept, request.host):
            # The record is here, not there: the life has risen all the same.
            self._places.answer_isolated(caller, request.seq, kept, request.host)
            return
        if record.in_progress is not None:
            failed = f"ticket {record.in_progress} is in progress" if request.absent else None
            self._places.answer(caller, request.seq, Status.FAILED if failed else Status.OK, kept, failed)
            return
        told = await self._errands.look(kept.address, request.host or kept.host)
        if told.finish is not Finish.OK or told.state is None:
            reason = told.reason or "the adapter does not tell what exists"
            self._places.answer(caller, request.seq, Status.UNREACHABLE, kept, reason)
            return
        kept.state = told.state
        if told.ticket is not None and told.ticket == record.begun > record.last:
            record.become_found_applied()
            if kept.existed and not told.state.exists:
                self._places.open_anew(kept.address)
            self._log.info("found out what a call came to", resource=str(kept.address), ticket=record.last)
        status, why = await self._bring_about(place, request, told)
        await self._places.save(kept)
        self._places.answer(caller, request.seq, status, kept, why, isolated=status is Status.UNREACHABLE)

    async def _bring_about(self, place: Place, request: Synchronize, told: Told) -> tuple[Status, str | None]:
        """Make, move or remove what the owner says belongs here or not. UNREACHABLE: its host was isolated."""
        kept = place.kept
        errand = decide_errand(request, kept.record, kept.state, at_host=told.host, run=new_run())
        if errand is None:
            return Status.OK, None
        # It may have been isolated while the adapter looked; from here on `isolate` finds the run.
        host_before, kept.host = kept.host, request.host or kept.host
        kept.run, place.isolated = errand.run, self._places.is_isolated(kept)
        await self._places.save(kept)
        done = await self._errands.act(place, errand)
        if done.finish is Finish.UNREACHABLE:  # nothing was changed
            kept.host = host_before
        else:
            kept.state = await self._errands.state_after(errand, done)
        kept.run = None
        if place.isolated:
            return Status.UNREACHABLE, f"host {errand.host or kept.host} is isolated"
        if done.finish is Finish.OK:
            if errand.verb is Verb.REMOVE:
                self._places.open_anew(kept.address)
            return Status.OK, None
        return Status.FAILED, done.reason or f"the adapter could not {errand.verb} it"

    async def observe(self, place: Place, request: Observe, caller: Caller) -> None:
        """Tell what exists; of what a call is changing just now, what is known."""
        kept = place.kept
        if kept.record.in_progress is None:
            told = await self._errands.look(kept.address, kept.host)
            if told.finish is not Finish.OK or told.state is None:
                self._places.answer(caller, request.seq, Status.UNREACHABLE, kept, told.reason)
                return
            kept.state = told.state
        self._places.answer(caller, request.seq, Status.OK, kept)
        if kept.record == DeviceRecord() and not kept.state.exists and not place.queued:
            self._places.forget(place)
