"""Two connections to one bus, real or simulated: a scenario is carried out on either."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from contextvars import Context
from random import Random

import pytest
from tests.support.until import until

from treeward.bus.interface import (
    AppendResult,
    Bus,
    Draft,
    Guard,
)
from treeward.bus.nats_bus import NatsBus
from treeward.runtime.embedded_nats import EmbeddedNats
from treeward.schemas import streams, subjects
from treeward.schemas.streams import Retention
from treeward.simulation.bus import SimulatedBus
from treeward.simulation.link import Link
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.server import BusServer
from treeward.simulation.trace import Trace

ZONE = "zone-a"
CLAIM = subjects.claim_of_zone(ZONE)
POD_CLAIM = subjects.claim_of_pod(ZONE, "pod-1")
Scenario = Callable[[Bus, Bus], Awaitable[None]]
CarryOut = Callable[[Scenario], None]


def on_nats(server: EmbeddedNats) -> CarryOut:
    async def run(scenario: Scenario) -> None:
        async with AsyncExitStack() as stack:
            crashes: list[BaseException] = []
            buses = [await NatsBus.connect(server.url, timeout_s=10, crash=crashes.append) for _ in range(2)]
            for bus in buses:
                stack.push_async_callback(bus.close)
            await buses[0].provision(ZONE, Retention())
            await scenario(buses[0], buses[1])
            assert not crashes

    return lambda scenario: asyncio.run(run(scenario))


def in_simulation() -> CarryOut:
    def run(scenario: Scenario) -> None:
        loop = VirtualLoop()
        server = BusServer(loop, Random(1), Trace())
        buses = [
            SimulatedBus(server, Link(loop, Random(number), Context(), latency_s=0.01), f"bus-{number}")
            for number in range(2)
        ]
        server.provision(ZONE, Retention())

        async def carry_out() -> None:
            await scenario(buses[0], buses[1])

        task = loop.create_task(carry_out())
        assert loop.run_until(task.done, deadline_s=60.0), "the scenario waits for something that does not come"
        task.result()
        assert not loop.escaped

    return run


@pytest.fixture(params=["nats", "simulation"])
def carry_out(request: pytest.FixtureRequest) -> CarryOut:
    """Runs a scenario with two connections to a bus on which zone-a has been provisioned."""
    if request.param == "simulation":
        return in_simulation()
    return on_nats(request.getfixturevalue("nats_server"))


async def submit(bus: Bus, *bodies: bytes, key: str = "vm.web-1") -> list[int]:
    return [(await bus.submit(subjects.work(ZONE, key), body, timeout_s=10)).ticket for body in bodies]


async def claim(bus: Bus, position: int, subject: str = CLAIM, body: bytes = b"{}") -> AppendResult:
    return await bus.append_expecting(streams.log(ZONE), Draft(subject, body), subject=subject, position=position)


async def append(bus: Bus, guard: Guard, *events: str, key: str = "vm.web-1") -> list[AppendResult]:
    """Append events of one resource under a guard, each in a call of its own, and wait for all results."""
    results: list[AppendResult] = []
    appender = bus.appender(streams.log(ZONE), guard)
    for event in events:
        appender.append([Draft(subjects.log(ZONE, key, event), event.encode(), {"h": event})], results.append)
    await until(lambda: len(results) == len(events))
    appender.close()
    return results
