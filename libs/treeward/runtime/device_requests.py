"""What an owner asks of a device, in the words of the device protocol (docs/device-protocol.md)."""

from typing import Any

from treeward.supervision import effects


def fields_of(effect: effects.DeviceRequest, *, zone: str, owner: str, trace: str | None) -> dict[str, Any]:
    """The fields of a request but for its number; `trace`: of the span of a call, which the device may go on with."""
    kind, _, id_ = effect.key.partition(".")
    fields: dict[str, Any] = {"zone": zone, "kind": kind, "id": id_}
    if isinstance(effect, effects.Observe):
        return fields | {"verb": "observe"}
    fields |= {"life": effect.life, "owner": owner, "host": effect.host}
    if isinstance(effect, effects.Synchronize):
        return fields | {"verb": "synchronize", "definition": effect.definition, "absent": effect.absent}
    unit = effect.message
    spec = _for_device(kind, unit.spec)
    return fields | {"verb": "call", "ticket": unit.ticket, "operation": unit.operation, "spec": spec, "trace": trace}


def _for_device(kind: str, spec: dict[str, Any] | None) -> dict[str, Any] | None:
    """A spec as a device sees it: the policies of a host are its process's affair."""
    if kind != "host" or not spec or "policies" not in spec:
        return spec
    return {name: value for name, value in spec.items() if name != "policies"}
