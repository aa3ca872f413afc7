"""Isolating a host, by a call, and opening it again, by a person."""

from treeward.device_guard.adapter import Adapter
from treeward.device_guard.answers import Caller
from treeward.device_guard.errands import Errands
from treeward.device_guard.places import Place, Places
from treeward.runtime.device_record import ISOLATE_IS_A_CALL, no_such_host
from treeward.schemas.device import Call, Isolate, Status


class Isolation:
    """Fences hosts and opens them; holds the turn of the host meanwhile."""

    def __init__(self, places: Places, errands: Errands, adapter: Adapter) -> None:
        self._places = places
        self._errands = errands
        self._adapter = adapter

    async def isolate(self, place: Place, call: Call, caller: Caller) -> None:
        """Fence a host; when it is told, nothing runs there any more."""
        kept, record = place.kept, place.kept.record
        if not kept.state.exists:  # it may exist all the same: nobody has asked the adapter yet
            kept.state = (await self._errands.look(kept.address, kept.host)).state or kept.state
        record.become_begun(life=call.life, owner=call.owner, ticket=call.ticket)
        if not kept.state.exists:
            record.become_answered(applied=False, reason=no_such_host(kept.address))
            await self._places.save(kept)
            self._places.answer(caller, call.seq, Status.REFUSED, kept, record.reason)
            return
        record.become_answered(applied=True)
        for run in await self._places.isolate(kept):
            # One that is over meanwhile is not confused with the next of its address, elsewhere.
            await self._adapter.end(run, patience_s=0.0)
        self._places.answer(caller, call.seq, Status.APPLIED, kept)

    async def open(self, place: Place, request: Isolate, caller: Caller) -> None:
        """A person opens an isolated host again."""
        kept = place.kept
        if request.undo:
            self._places.open_anew(kept.address)
            await self._places.save(kept)
        status, reason = (Status.OK, None) if request.undo else (Status.REFUSED, ISOLATE_IS_A_CALL)
        self._places.answer(caller, request.seq, status, kept, reason)
