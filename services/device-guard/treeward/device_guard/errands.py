"""What a guard has its adapter do, and what exists afterwards."""

import secrets

from treeward.device_guard.adapter import Adapter, Errand, Finish, State, Told, Verb
from treeward.device_guard.places import Place
from treeward.schemas.address import Address


class Errands:
    """Has an adapter carry them out."""

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter

    async def act(self, place: Place, errand: Errand) -> Told:
        """Start it, unless its host was isolated after its run was named: `isolate` has found nothing to end then."""
        if place.isolated:
            return Told(Finish.UNREACHABLE)
        return await self._adapter.carry_out(errand)

    async def look(self, address: Address, host: str | None) -> Told:
        """What exists, as the adapter tells it now."""
        return await self._adapter.carry_out(Errand(new_run(), Verb.OBSERVE, address, host))

    async def state_after(self, errand: Errand, told: Told) -> State:
        """What exists now. If nobody can say, something does: what is said to be absent is placed elsewhere."""
        if told.state is not None:
            return told.state
        seen = await self.look(errand.address, errand.host)
        if seen.finish is Finish.OK and seen.state is not None:
            return seen.state
        return State(exists=True, definition=errand.definition or errand.spec)


def new_run() -> str:
    """A name that no other run has."""
    return secrets.token_hex(16)
