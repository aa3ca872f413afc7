"""The data centre as requests meet it: the world, the record of each address, and the faults on the way there."""

from typing import Any

from treeward.device_simulator.faults import FaultSet, Place
from treeward.device_simulator.journal import Entry
from treeward.device_simulator.ledger import Caller, Ledger
from treeward.device_simulator.world import RefusedError, World
from treeward.runtime.device_record import DeviceRecord
from treeward.schemas.address import Address
from treeward.schemas.device import Status
from treeward.schemas.device_control import FaultEffect


class Site:
    """Where every request goes: what is there, whether it can be reached, and what is answered."""

    def __init__(
        self, world: World, records: dict[Address, DeviceRecord], faults: FaultSet, ledger: Ledger, *, remembers: int
    ) -> None:
        self.world = world
        self.records = records
        self.remembers = remembers
        self.faults = faults
        self.ledger = ledger

    def place(self, address: Address, operation: str, host: str | None, *, is_call: bool = False) -> Place:
        """How faults see a request: by the host that the resource is on, or is meant for."""
        if address.kind == "host":
            host = address.id
        elif (resource := self.world.resources.get(address)) is not None:
            host = resource.host
        return Place(address.zone, self.world.pod_of(address.zone, host), host, *address[1:], operation, is_call)

    def unreachable(self, address: Address, operation: str, host: str | None, *, is_call: bool = False) -> str | None:
        """Why nothing behind the address answers; None if it does.

        A resource may be moved off an isolated host: that host holds it no more, which is what isolating is for. And a
        host is isolated from outside, so it need not be reached for that.
        """
        if operation == "isolate":
            return None
        there, target = self._where(address, operation, host)
        if self.isolated(address, operation, host):
            return f"host {target} is isolated"
        if not self.faults:
            return None
        place = self.place(address, operation, host, is_call=is_call)
        places = [] if (address.zone, place.host) in self.world.isolated and address.kind != "host" else [place]
        if target != there and address.kind != "host":
            places.append(place._replace(host=target, pod=self.world.pod_of(address.zone, target)))
        for each in places:
            standing = self.faults.strike(FaultEffect.UNREACHABLE, each)
            if standing is not None:
                what = f"host {each.host}" if each.host else "the device"
                return standing.fault.reason or f"{what} is unreachable (injected fault)"
        return None

    def check_willing(self, address: Address, host: str | None) -> None:
        """Raise RefusedError if a fault keeps a synchronize from making something on this host, or moving it there."""
        place = self.place(address, "synchronize", host)._replace(host=host, pod=self.world.pod_of(address.zone, host))
        standing = self.faults.strike(FaultEffect.REFUSE, place) if self.faults else None
        if standing is not None:
            raise RefusedError(standing.fault.reason or f"host {host} makes nothing (injected fault)")

    def isolated(self, address: Address, operation: str, host: str | None) -> bool:
        """Whether the host is isolated that the request would have to reach; the host itself can always be asked."""
        _, target = self._where(address, operation, host)
        return target is not None and (address.zone, target) in self.world.isolated and address.kind != "host"

    def _where(self, address: Address, operation: str, host: str | None) -> tuple[str | None, str | None]:
        """The host that the resource is on, and the one that a request has to reach."""
        resource = self.world.resources.get(address)
        there = host if resource is None else resource.host
        return there, host if operation == "synchronize" and host is not None else there

    def loses(self, caller: Caller, entry: Entry, place: Place) -> bool:
        """Whether a fault swallows the answer to this caller; the connection may go with it."""
        standing = self.faults.strike(FaultEffect.LOSE, place)
        if standing is None:
            return False
        entry.fault = f"{entry.fault}, lose {standing.number}" if entry.fault else f"lose {standing.number}"
        if standing.fault.close:
            self.ledger.hang_up(caller)
        return True

    def record(self, address: Address) -> DeviceRecord:
        """The record of an address; of one that nobody has asked for before, a fresh one that is not kept yet."""
        return self.records.get(address) or DeviceRecord(remembers=self.remembers)

    def memory(self, address: Address) -> dict[str, Any]:
        """What is remembered besides the last ticket, as fields of an answer to synchronize or observe."""
        record = self.record(address)
        return {"remembers": record.remembers, "recent": record.recent}

    def state(self, address: Address) -> dict[str, Any]:
        """The record and what exists, as fields of an answer."""
        state: dict[str, Any] = {}
        record = self.records.get(address)
        if record is not None:
            state = {
                "high": record.high, "owner": record.owner, "last": record.last, "last_applied": record.applied,
                "last_reason": record.reason, "begun": record.begun,
            }  # fmt: skip
        resource = self.world.resources.get(address)
        if resource is not None:
            state["exists"] = True
            state["definition"] = resource.definition
            state["observed"] = self.world.observe(resource)
        if address.kind == "host" and (address.zone, address.id) in self.world.isolated:
            state["isolated"] = True
        return state

    def answer(
        self, caller: Caller, seq: int, status: Status, address: Address, reason: str | None, **more: Any
    ) -> None:
        """Answer a request after the next commit."""
        self.ledger.say(caller, {"seq": seq, "status": status.value, "reason": reason, **self.state(address), **more})
