"""What the guard asks of the adapter, and with which definition: pure."""

from typing import Any

from treeward.device_guard.adapter import Errand, State, Verb
from treeward.runtime.device_record import DeviceRecord
from treeward.schemas.address import Address
from treeward.schemas.device import Call, Synchronize


def decide_errand(
    request: Synchronize, record: DeviceRecord, state: State, *, at_host: str | None, run: str
) -> Errand | None:
    """Choose between removing, making, moving and nothing, for a life that was just accepted.

    What is absent is made only before the first call of that life: a late copy of the request must not make again what
    a call has destroyed since.
    """
    address = Address(request.zone, request.kind, request.id)
    if request.absent:
        return Errand(run, Verb.REMOVE, address, request.host, request.life) if state.exists else None
    if not state.exists:
        if request.definition is None or not record.decide_make(life=request.life):
            return None
        return Errand(run, Verb.MAKE, address, request.host, request.life, definition=request.definition)
    if request.host is None or at_host is None or request.host == at_host or request.kind == "host":
        return None
    return Errand(run, Verb.MOVE, address, request.host, request.life, definition=state.definition)


def decide_definition(call: Call, state: State) -> dict[str, Any] | None:
    """What the adapter is told by `definition` in a call: of a `restore` what is to exist again, else what exists."""
    if call.operation != "restore":
        return state.definition
    definition = (call.spec or {}).get("definition")
    return definition if isinstance(definition, dict) else None
