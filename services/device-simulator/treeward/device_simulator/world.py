"""What exists in the simulated data centre: resources, what they take of their hosts, and what hangs on what.

Everything here happens at once, in memory. A change that cannot be made raises RefusedError and changes nothing.
Whatever was changed is in `touched` until the books have it.
"""

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import ValidationError

from treeward.device_simulator.sizes import NOTHING, Size, shortage_of, size_of
from treeward.schemas.address import Address
from treeward.schemas.units import complete_spec, explain_validation

KINDS = ("host", "vm", "volume", "network")
"""What this device serves."""


class RefusedError(Exception):
    """What was asked cannot be done; the message says why. Nothing was changed."""


class Residue(NamedTuple):
    """What an operation that ended halfway has left: only the same ticket completes it."""

    ticket: int
    operation: str


class Change(NamedTuple):
    """What an effect did to a host: `delta` on `host`, and, if something moved, the opposite on `from_host`."""

    host: str | None = None
    delta: Size = NOTHING
    from_host: str | None = None


@dataclass(slots=True)
class Resource:
    """One thing that exists."""

    address: Address
    host: str | None
    definition: dict[str, Any]
    residue: Residue | None = None
    """Set while it is half made, or an operation on it ended halfway."""
    attached_to: set[str] = field(default_factory=set)
    """Volumes and networks: the VMs that have it."""
    attached: set[tuple[str, str]] = field(default_factory=set)
    """VMs: kind and id of what it has."""
    carries: set[Address] = field(default_factory=set)
    """Hosts: what is on it."""
    used: Size = NOTHING
    """Hosts: what those take together."""

    @property
    def state(self) -> str:
        """`present`, or `partial` after an operation that ended halfway."""
        return "present" if self.residue is None else "partial"

    @property
    def half_made(self) -> bool:
        """Whether its creation ended halfway."""
        return self.residue is not None and self.residue.operation == "create"


class World:
    """All resources of the data centre, by address."""

    def __init__(self) -> None:
        self.resources: dict[Address, Resource] = {}
        self.isolated: set[tuple[str, str]] = set()
        """Zone and host of those that were fenced."""
        self.touched: set[Address] = set()

    def observe(self, resource: Resource) -> dict[str, Any]:
        """The state of a resource as a monitor would see it."""
        address = resource.address
        match address.kind:
            case "vm":
                return {
                    "state": resource.state,
                    "host": resource.host,
                    "power": "running" if resource.definition["running"] and not resource.half_made else "stopped",
                    "volumes": sorted(id_ for kind, id_ in resource.attached if kind == "volume"),
                    "networks": sorted(id_ for kind, id_ in resource.attached if kind == "network"),
                }
            case "volume":
                vm = min(resource.attached_to, default=None)
                return {"state": resource.state, "host": resource.host, "attached_to": vm}
            case "network":
                return {"state": resource.state, "host": resource.host, "attached_to": sorted(resource.attached_to)}
            case _:
                used = {
                    "cpus": resource.used.cpus_milli / 1000,
                    "memory_mib": resource.used.memory_mib,
                    "gpus": resource.used.gpus_milli / 1000,
                    "disk_gib": resource.used.disk_gib,
                }
                return {
                    "state": resource.state,
                    "pod": resource.definition["pod"],
                    "isolated": (address.zone, address.id) in self.isolated,
                    "carries": len(resource.carries),
                    "used": used,
                }

    def find(self, address: Address) -> Resource:
        """The resource; raises RefusedError if it is absent."""
        resource = self.resources.get(address)
        if resource is None:
            raise RefusedError(f"{address.kind} {address.id} does not exist")
        return resource

    def pod_of(self, zone: str, host: str | None) -> str | None:
        """The pod of a host, if it is known."""
        if host is None:
            return None
        resource = self.resources.get(Address(zone, "host", host))
        return None if resource is None else resource.definition["pod"]

    def make(self, address: Address, spec: dict[str, Any] | None, host: str | None) -> Change:
        """Create a resource on a host that has room for it."""
        definition = self.definition_of(address.kind, spec)
        if address in self.resources:
            raise RefusedError(f"{address.kind} {address.id} already exists")
        if address.kind == "host":
            host = None
        elif host is not None or address.kind in {"vm", "volume"}:
            self.check_room(address, host, size_of(address.kind, definition))
        resource = Resource(address, host, definition)
        self.restore(resource)
        self.touched.add(address)
        return self._change(resource, size_of(address.kind, definition))

    def restore(self, resource: Resource) -> None:
        """Put back what the books have; hosts first, then VMs, then the rest."""
        self.resources[resource.address] = resource
        self._load(resource, size_of(resource.address.kind, resource.definition))
        for vm in resource.attached_to:
            self.find(Address(resource.address.zone, "vm", vm)).attached.add(
                (resource.address.kind, resource.address.id)
            )

    def definition_of(self, kind: str, spec: dict[str, Any] | None) -> dict[str, Any]:
        """A complete definition from the spec of a `create`; raises RefusedError naming the field that is wrong."""
        if kind not in KINDS:
            raise RefusedError(f"this device serves no kind {kind}; it serves {', '.join(KINDS)}")
        try:
            return complete_spec(kind, "create", spec)
        except ValidationError as error:
            raise RefusedError(explain_validation(error, prefix="spec")) from None

    def remove(self, resource: Resource) -> Change:
        """Destroy what exists; a VM lets go of its volumes and networks."""
        if resource.carries:
            count, one = len(resource.carries), min(resource.carries)
            raise RefusedError(f"host {resource.address.id} still carries {count}, {one.key} among them")
        size = size_of(resource.address.kind, resource.definition)
        for kind, id_ in resource.attached:
            other = self.find(Address(resource.address.zone, kind, id_))
            other.attached_to.discard(resource.address.id)
            self.touched.add(other.address)
        for vm in sorted(resource.attached_to):
            self.detach(resource, vm)
        self._unload(resource, size)
        del self.resources[resource.address]
        self.touched.add(resource.address)
        if resource.address.kind == "host":
            self.open(resource.address)
        return self._change(resource, NOTHING.minus(size))

    def isolate(self, host: Resource) -> Change:
        """Fence a host: until it is removed nothing takes effect on what is on it."""
        self.isolated.add((host.address.zone, host.address.id))
        self.touched.add(host.address)
        return self._change(host, NOTHING)

    def open(self, host: Address) -> None:
        """Nothing is fenced there any more."""
        self.isolated.discard((host.zone, host.id))
        self.touched.add(host)

    def move(self, resource: Resource, host: str) -> Change:
        """Carry it over to another host that has room; what is attached stays attached."""
        size = size_of(resource.address.kind, resource.definition)
        self.check_room(resource.address, host, size)
        from_host = resource.host
        self._unload(resource, size)
        resource.host = host
        self._load(resource, size)
        self.touched.add(resource.address)
        return Change(host=host, delta=size, from_host=from_host)

    def redefine(self, resource: Resource, fields: dict[str, Any]) -> Change:
        """Change fields of its definition; its host must have room for what it takes then."""
        definition = resource.definition | fields
        kind = resource.address.kind
        delta = size_of(kind, definition).minus(size_of(kind, resource.definition))
        if kind == "host":
            shortage = shortage_of(size_of(kind, definition), NOTHING, resource.used)
            if shortage is not None:
                raise RefusedError(
                    f"host {resource.address.id} cannot shrink below what it carries: it then {shortage}"
                )
        elif resource.host is not None:
            self.check_room(resource.address, resource.host, delta)
        resource.definition = definition
        if resource.host is not None:
            carrier = self.find(Address(resource.address.zone, "host", resource.host))
            carrier.used = carrier.used.plus(delta)
            self.touched.add(carrier.address)
        self.touched.add(resource.address)
        return self._change(resource, delta)

    def attach(self, resource: Resource, vm: str) -> None:
        """Give a volume or network to a VM of its zone."""
        owner = self.find(Address(resource.address.zone, "vm", vm))
        resource.attached_to.add(vm)
        owner.attached.add((resource.address.kind, resource.address.id))
        self.touched |= {resource.address, owner.address}

    def detach(self, resource: Resource, vm: str) -> None:
        """Take it from a VM again."""
        resource.attached_to.discard(vm)
        owner = self.find(Address(resource.address.zone, "vm", vm))
        owner.attached.discard((resource.address.kind, resource.address.id))
        self.touched |= {resource.address, owner.address}

    def check_room(self, address: Address, host: str | None, size: Size) -> None:
        """Raise RefusedError if the host does not exist, is half made, or has no room for `size`."""
        if host is None:
            raise RefusedError(f"a {address.kind} needs a host, and none is named")
        carrier = self.resources.get(Address(address.zone, "host", host))
        if carrier is None:
            raise RefusedError(f"host {host} does not exist")
        if carrier.half_made:
            raise RefusedError(f"host {host} is only half made")
        shortage = shortage_of(size_of("host", carrier.definition), carrier.used, size)
        if shortage is not None:
            raise RefusedError(f"host {host} {shortage}")

    def _load(self, resource: Resource, size: Size) -> None:
        if resource.host is not None:
            carrier = self.find(Address(resource.address.zone, "host", resource.host))
            carrier.carries.add(resource.address)
            carrier.used = carrier.used.plus(size)
            self.touched.add(carrier.address)

    def _unload(self, resource: Resource, size: Size) -> None:
        if resource.host is not None:
            carrier = self.find(Address(resource.address.zone, "host", resource.host))
            carrier.carries.discard(resource.address)
            carrier.used = carrier.used.minus(size)
            self.touched.add(carrier.address)

    def _change(self, resource: Resource, delta: Size) -> Change:
        host = resource.address.id if resource.address.kind == "host" else resource.host
        return Change(host=host, delta=delta)
