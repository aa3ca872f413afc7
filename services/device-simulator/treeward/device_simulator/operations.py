"""The operations of each kind and what must hold before: a unit that comes twice or out of order is refused here."""

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from treeward.device_simulator.world import KINDS, Change, RefusedError, Residue, Resource, World
from treeward.runtime.device_record import no_such_host
from treeward.schemas.address import Address
from treeward.schemas.units import OPERATIONS, complete_spec, explain_validation

Operation = Callable[[World, Resource, dict[str, Any]], Change]


def carry_out(
    world: World, address: Address, operation: str, spec: dict[str, Any] | None, host: str | None, *, ticket: int
) -> Change:
    """Do one operation completely, or raise RefusedError with the reason and change nothing.

    What an earlier call of the same ticket has left halfway is completed.
    """
    fields = _checked_spec(address.kind, operation, spec)
    resource = world.resources.get(address)
    if operation == "create":
        if resource is not None and resource.half_made and resource.residue == Residue(ticket, operation):
            return _complete(world, resource)
        return world.make(address, spec, host)
    if resource is None and operation == "restore":
        return world.make(address, fields["definition"], host)
    if resource is None and operation == "isolate":
        raise RefusedError(no_such_host(address))
    if resource is None:
        raise RefusedError(f"{address.kind} {address.id} does not exist")
    if resource.half_made and operation != "destroy":
        raise RefusedError(f"{address.kind} {address.id} is only half made")
    change = _OPERATIONS[address.kind, operation](world, resource, fields)
    resource.residue = None
    return change


def leave_halfway(
    world: World, address: Address, operation: str, spec: dict[str, Any] | None, host: str | None, *, ticket: int
) -> tuple[Change, str]:
    """Begin an operation and stop in the middle; returns what it took of a host, and what is left, in words.

    A creation leaves a half-made object that takes its room; anything else leaves the object as it was, marked
    `partial`. Raises RefusedError if there is nothing that it could have begun on.
    """
    _checked_spec(address.kind, operation, spec)
    resource = world.resources.get(address)
    change = Change()
    if operation == "create":
        if resource is None:
            change = world.make(address, spec, host)
            resource = world.resources[address]
        elif resource.residue != Residue(ticket, operation):
            raise RefusedError(f"{address.kind} {address.id} already exists")
    if resource is None:
        raise RefusedError(f"{address.kind} {address.id} does not exist")
    if not resource.half_made:
        resource.residue = Residue(ticket, operation)
    world.touched.add(address)
    what = "half made" if resource.half_made else f"as it was, with a {operation} begun"
    return change, f"{operation} ended halfway; {address.kind} {address.id} is left {what}"


def _complete(world: World, resource: Resource) -> Change:
    resource.residue = None
    world.touched.add(resource.address)
    return Change(host=resource.host)


def _checked_spec(kind: str, operation: str, spec: dict[str, Any] | None) -> dict[str, Any]:
    if kind not in KINDS:
        raise RefusedError(f"this device serves no kind {kind}; it serves {', '.join(KINDS)}")
    if operation == "migrate":
        raise RefusedError("migrate is not for the device: it moves a resource when synchronize names another host")
    if operation not in OPERATIONS[kind]:
        raise RefusedError(f"a {kind} has no operation {operation}; it has {', '.join(OPERATIONS[kind])}")
    if operation == "create":
        return {}
    try:
        return complete_spec(kind, operation, spec)
    except ValidationError as error:
        raise RefusedError(explain_validation(error, prefix="spec")) from None


def _destroy(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    if resource.attached_to:
        raise RefusedError(
            f"{resource.address.kind} {resource.address.id} is attached to vm {min(resource.attached_to)}"
        )
    return world.remove(resource)


def _start(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    if resource.definition["running"]:
        raise RefusedError(f"vm {resource.address.id} is already running")
    return world.redefine(resource, {"running": True})


def _stop(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    if not resource.definition["running"]:
        raise RefusedError(f"vm {resource.address.id} is already stopped")
    return world.redefine(resource, {"running": False})


def _resize(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    return world.redefine(resource, {name: value for name, value in fields.items() if value is not None})


def _restore(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    return redefine(world, resource, fields["definition"])


def redefine(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    """Change any fields of a definition, as long as what comes of it is one."""
    return world.redefine(resource, world.definition_of(resource.address.kind, resource.definition | fields))


def _grow(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    size, new = resource.definition["size_gib"], fields["size_gib"]
    if new <= size:
        raise RefusedError(f"volume {resource.address.id} has {size} GiB and only grows; {new} GiB is not more")
    return world.redefine(resource, {"size_gib": new})


def _attach(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    vm = fields["vm"]
    kind, id_ = resource.address.kind, resource.address.id
    if vm in resource.attached_to:
        raise RefusedError(f"{kind} {id_} is already attached to vm {vm}")
    if kind == "volume" and resource.attached_to:
        raise RefusedError(f"volume {id_} is attached to vm {min(resource.attached_to)}, and can be to one only")
    if world.find(Address(resource.address.zone, "vm", vm)).half_made:
        raise RefusedError(f"vm {vm} is only half made")
    world.attach(resource, vm)
    return Change(host=resource.host)


def _detach(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    if fields["vm"] not in resource.attached_to:
        raise RefusedError(f"{resource.address.kind} {resource.address.id} is not attached to vm {fields['vm']}")
    world.detach(resource, fields["vm"])
    return Change(host=resource.host)


def _isolate(world: World, resource: Resource, fields: dict[str, Any]) -> Change:
    return world.isolate(resource)


_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("host", "destroy"): _destroy,
    ("host", "resize"): _resize,
    ("host", "isolate"): _isolate,
    ("vm", "destroy"): _destroy,
    ("vm", "start"): _start,
    ("vm", "stop"): _stop,
    ("vm", "resize"): _resize,
    ("volume", "destroy"): _destroy,
    ("volume", "resize"): _grow,
    ("volume", "attach"): _attach,
    ("volume", "detach"): _detach,
    ("network", "destroy"): _destroy,
    ("network", "attach"): _attach,
    ("network", "detach"): _detach,
    **{(kind, "restore"): _restore for kind in KINDS},
}
