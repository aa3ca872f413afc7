"""What do units that wait for a dead pod cost the others, and what does it cost to work them off?"""

import asyncio
import json
from time import perf_counter

from bench.frame.filled import owner_of
from bench.frame.load import CHANGE, Client, StuckError, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, Site, site

RESOURCES = 1_000
SHAPE = Shape(pods=2, settings={"TREEWARD_CAPACITY": "1"})
"""Each agent takes one pod, so that nobody takes the dead one's."""
IN_FLIGHT_MAX = 2_000


def create_in(pod: str) -> bytes:
    """A VM that can only be placed in this pod."""
    return json.dumps(
        {"operation": "create", "spec": {"cpus": 0.001, "memory_mib": 1, "requires": {"pod": pod}}}
    ).encode()


async def submit_all(client: Client, names: list[str], count: int) -> float:
    """Submit so many units in turn, never more than some without their receipts; returns the seconds it took."""
    begun_s = perf_counter()
    for number in range(count):
        client.send(names[number % len(names)], CHANGE, begun_s)
        if number % 100 == 99:
            while client.submitted - client.receipts > IN_FLIGHT_MAX:
                await asyncio.sleep(0.001)
    quiet_s = perf_counter()
    while client.receipts < client.submitted:
        if perf_counter() - quiet_s > 60:
            raise StuckError("units have no receipts")
        await asyncio.sleep(0.005)
    return perf_counter() - begun_s


def spent(place: Site, before: dict[str, float], units: int) -> dict[str, float]:
    """CPU microseconds a unit, by role."""
    return {f"{role}_us": (at - before.get(role, 0.0)) / units * 1e6 for role, at in place.cpu_s().items()}


async def bench(size: Size, found: Figures) -> None:
    pending, seconds = (10_000, 3.0) if size is Size.SHORT else (1_000_000, 15.0)
    async with site(SHAPE) as place:
        dead_client = await Client.connect(place.urls[0], "zone-a")
        client = await Client.connect(place.urls[0], "zone-a")
        dead_client.keep_latencies = client.keep_latencies = False
        dead, living = ids(RESOURCES, "dead"), ids(RESOURCES, "living")
        await dead_client.each(dead, create_in("a1"))
        await client.each(living, create_in("a2"))
        owner = await owner_of(place, "a1")
        table = "The others' rate, closed loop, 1,000 resources in the pod that lives"

        async def rate(when: str, waiting: int) -> None:
            before, answered = place.cpu_s(), client.answered
            window = await client.closed(living, CHANGE, seconds, depth=2)
            memory_mb = place.resident_bytes()["orchestrator"] / 1e6
            units = client.answered - answered
            found.row(
                table,
                when=when,
                waiting=waiting,
                per_s=window.per_s,
                dispatcher_mb=memory_mb,
                **spent(place, before, units),
            )

        await rate("both pods live", 0)
        place.programs[owner].kill()
        submit_s = await submit_all(dead_client, dead, pending)
        # WORK is read in order: whoever submits after a burst waits until that was read.
        begun_s = perf_counter()
        client.send(living[0], CHANGE, begun_s)
        await client.settled(quiet_s=300.0)
        found.row(
            "Accepting what cannot be done yet", units=pending, per_s=pending / submit_s,
            another_pods_next_unit_s=perf_counter() - begun_s,
        )  # fmt: skip
        await rate("one pod is dead", pending)
        before, begun_s = place.cpu_s(), perf_counter()
        place.programs[owner].start()
        await dead_client.settled(quiet_s=60.0)
        drain_s = perf_counter() - begun_s
        found.row("Working it off", units=pending, per_s=pending / drain_s, **spent(place, before, pending))
        await rate("afterwards", 0)
        client.check()
        dead_client.check()


if __name__ == "__main__":
    main("backlog", __doc__, bench)
