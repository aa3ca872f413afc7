"""Faults of the device: what the simulator is asked to do wrong."""

import asyncio
import json

from tests.faults.injected import Injected, last
from tests.faults.plan import Kind, Planned
from tests.faults.site import Site

from treeward.schemas.device_control import Distribution, Fault, FaultAdd, FaultClear, FaultEffect

CONTROL_S = 5.0


class Devices:
    """Strikes a zone or a host of it, through the simulator's control port."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def strike(self, fault: Planned, injected: Injected) -> None:
        """Have the fault added, and taken away when it is over."""
        zone = self._site.zones[fault.target % len(self._site.zones)]
        target, times = zone, 1 + int(fault.strength * 5)
        match fault.kind:
            case Kind.LOSE_ANSWER | Kind.CLOSE_CONNECTION:
                close = fault.kind is Kind.CLOSE_CONNECTION
                wanted = Fault(effect=FaultEffect.LOSE, zone=zone, times=times, close=close)
            case Kind.HANG:
                wanted = Fault(effect=FaultEffect.HANG, zone=zone, times=times)
            case Kind.SLOW:
                spread = Distribution.LOGNORMAL
                wanted = Fault(effect=FaultEffect.LATENCY, zone=zone, seconds=0.2, seconds_max=2.0, distribution=spread)
            case Kind.FAIL_HALFWAY:
                wanted = Fault(effect=FaultEffect.FAIL, zone=zone, times=times)
            case Kind.REFUSE:
                wanted = Fault(effect=FaultEffect.REFUSE, zone=zone, times=times)
            case _:
                host = host_of(fault, zone, self._site)
                wanted = Fault(effect=FaultEffect.UNREACHABLE, zone=zone, host=host)
                target = f"{zone}.host.{host}"
        injected.strikes(target)
        number = await self._control(FaultAdd(fault=wanted))
        await last(fault)
        if number is not None:  # a simulator that was killed meanwhile has forgotten it
            await self._control(FaultClear(number=number))

    async def mend(self) -> None:
        """No fault stands any more."""
        await self._control(FaultClear())

    async def _control(self, request: FaultAdd | FaultClear) -> int | None:
        """The number of the fault that was added; None if the simulator is not there."""
        host, port = self._site.control.removeprefix("tcp://").split(":")
        try:
            async with asyncio.timeout(CONTROL_S):
                reader, writer = await asyncio.open_connection(host, int(port))
                writer.write(request.model_dump_json(exclude_none=True).encode() + b"\n")
                answer = json.loads(await reader.readline() or b"{}")
                writer.close()
        except (OSError, TimeoutError):
            return None
        faults = answer.get("faults") or [{}]
        number: int | None = faults[0].get("number")
        return number


def host_of(fault: Planned, zone: str, site: Site) -> str:
    """The host of a zone that a fault strikes."""
    hosts = [host for pod in site.topology.zones[zone].pods.values() for host in pod.hosts]
    return hosts[fault.target // 7 % len(hosts)]
