"""What does a unit cost with more resources, and with more zones and agents?"""

import asyncio
import itertools
from time import perf_counter

from bench.frame.filled import fill
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, Site, site

ACTIVE = 1_000
IN_FLIGHT = 1_000
RESOURCES = {Size.SHORT: (10, 1_000, 10_000), Size.FULL: (10, 1_000, 100_000, 1_000_000)}
ZONES = {Size.SHORT: (1, 2), Size.FULL: (1, 2, 4, 8)}


async def cost(place: Site, client: Client, names: list[str], units: int) -> tuple[float, dict[str, float]]:
    """Units a second, and CPU microseconds a unit by role, of so many units over these resources in turn."""
    before, begun_s = place.cpu_s(), perf_counter()
    await client.each(itertools.islice(itertools.cycle(names), units), CHANGE, in_flight=min(IN_FLIGHT, 4 * len(names)))
    seconds = perf_counter() - begun_s
    spent = {f"{role}_us": (at - before.get(role, 0.0)) / units * 1e6 for role, at in place.cpu_s().items()}
    return units / seconds, spent | {"sum_us": sum(spent.values())}


async def resources(size: Size, found: Figures) -> None:
    units = 6_000 if size is Size.SHORT else 50_000
    sums: dict[int, float] = {}
    for count in RESOURCES[size]:
        async with site(Shape()) as place:
            client = await Client.connect(place.urls[0], "zone-a")
            client.keep_latencies = False
            names = ids(count)
            await fill(place, names)
            await client.each(["probe"], CREATE)
            step = max(1, count // ACTIVE)
            active = names[::step][:ACTIVE]
            await client.each(active, CHANGE)
            per_s, spent = await cost(place, client, active, units)
            sums[count] = spent["sum_us"]
            found.row("Cost of a unit, 1,000 of so many resources in use", resources=count, per_s=per_s, **spent)
            unused = [name for number, name in enumerate(names) if number % step] if step > 1 else []
            if len(unused) >= units:
                per_s, spent = await cost(place, client, unused[:units], units)
                found.row("Cost of a unit of a resource that nobody used before", resources=count, per_s=per_s, **spent)
            client.check()
            client.close()
    largest = max(sums)
    found.figure(f"scale.cost_ratio_at_{largest}", sums[largest] / sums[1_000])
    if largest == 1_000_000:
        found.figure("scale.cost_ratio", sums[largest] / sums[1_000])


async def zones(size: Size, found: Figures) -> None:
    seconds = 4.0 if size is Size.SHORT else 15.0
    for count in ZONES[size]:
        async with site(Shape(zones=count, orchestrators=min(count, 2))) as place:
            clients = [await Client.connect(place.urls[0], zone) for zone in place.zones]
            names = ids(ACTIVE // count)
            for client in clients:
                client.keep_latencies = False
                await client.each(names, CREATE)
            before = place.cpu_s()
            begun = [client.answered for client in clients]

            async with asyncio.TaskGroup() as group:
                windows = [group.create_task(client.closed(names, CHANGE, seconds, depth=2)) for client in clients]
            units = sum(client.answered for client in clients) - sum(begun)
            spent = {f"{role}_us": (at - before.get(role, 0.0)) / units * 1e6 for role, at in place.cpu_s().items()}
            per_s = sum(window.result().per_s for window in windows)
            found.row(
                "Zones, an agent each, one machine",
                zones=count,
                agents=count,
                per_s=per_s,
                **spent,
                sum_us=sum(spent.values()),
            )
            for client in clients:
                client.check()
                client.close()


async def bench(size: Size, found: Figures) -> None:
    await resources(size, found)
    await zones(size, found)


if __name__ == "__main__":
    main("scale", __doc__, bench)
