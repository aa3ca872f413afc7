"""Calls: what one intends is on the disk before the adapter is asked, and what came of it before anybody is told.

A call runs outside of its address's turn, so that others are told `busy` or wait for it.
"""

import asyncio

from treeward.device_guard.adapter import Errand, Finish, Verb
from treeward.device_guard.answers import Caller
from treeward.device_guard.bring_about import decide_definition
from treeward.device_guard.errands import Errands, new_run
from treeward.device_guard.isolation import Isolation
from treeward.device_guard.places import Place, Places
from treeward.runtime.device_record import Decision
from treeward.schemas.device import Call, Status


class Calls:
    """Takes calls; each runs as one of `tasks`."""

    def __init__(self, places: Places, errands: Errands, isolation: Isolation, tasks: asyncio.TaskGroup) -> None:
        self._places = places
        self._errands = errands
        self._isolation = isolation
        self._tasks = tasks

    async def take(self, place: Place, call: Call, caller: Caller) -> None:
        """Begin it, join it to the one in progress, or answer at once; holds the turn of its address."""
        kept, record = place.kept, place.kept.record
        if self._places.is_isolated(kept, call.host):
            self._places.answer_isolated(caller, call.seq, kept, call.host)
            return
        match record.decide_call(life=call.life, owner=call.owner, ticket=call.ticket):
            case Decision.RUN if call.operation == "isolate" and call.kind == "host":
                await self._isolation.isolate(place, call, caller)
            case Decision.RUN:
                await self._begin(place, call, caller)
            case Decision.JOIN:
                place.waiting.append((caller, call.seq))
            case Decision.REMEMBERED:
                status = Status.APPLIED if record.applied else Status.REFUSED
                self._places.answer(caller, call.seq, status, kept, record.reason)
            case decision:
                self._places.answer(caller, call.seq, Status(decision.name.lower()), kept, record.why(decision))

    async def _begin(self, place: Place, call: Call, caller: Caller) -> None:
        """Write down the intention, then act; whoever is killed in between finds it again."""
        kept, record = place.kept, place.kept.record
        again = call.ticket == record.begun
        if not again:
            kept.existed = kept.state.exists
        begun_before, host_before = record.begun, kept.host
        record.become_begun(life=call.life, owner=call.owner, ticket=call.ticket)
        kept.host = call.host or kept.host
        kept.run = new_run()
        place.waiting = [(caller, call.seq)]
        place.isolated = False
        errand = Errand(
            kept.run, Verb.CALL, kept.address, kept.host, call.life, call.ticket, call.operation, call.spec,
            definition=decide_definition(call, kept.state), existed=kept.existed, again=again, trace=call.trace,
        )  # fmt: skip
        await self._places.save(kept)
        self._tasks.create_task(self._carry_out(place, errand, begun_before=begun_before, host_before=host_before))

    async def _carry_out(self, place: Place, errand: Errand, *, begun_before: int, host_before: str | None) -> None:
        kept, record = place.kept, place.kept.record
        told = await self._errands.act(place, errand)
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
            kept.state = await self._errands.state_after(errand, told)
            record.become_answered(applied=True)
            if errand.operation == "destroy":
                self._places.open_anew(kept.address)
            status = Status.APPLIED
        elif told.finish is Finish.REFUSED:
            reason = told.reason or "the adapter refuses and does not say why"
            kept.state = await self._errands.state_after(errand, told)
            record.become_answered(applied=False, reason=reason)
            status = Status.REFUSED
        else:
            record.become_broken_off()
        kept.run = None
        await self._places.save(kept)
        waiting, place.waiting = place.waiting, []
        for caller, seq in waiting:
            self._places.answer(caller, seq, status, kept, reason, isolated=isolated)
