"""How long does a unit take, from when it was due to its outcome, at a low rate and at half of the most?

Half of the most units are not half of the most work: the fewer there are at once, the less they share (a wake-up, a
write, a batch), so `cores_in_use` says how far from idle the machine was.
"""

import itertools

from bench.frame.histogram import summary
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, site

RESOURCES = 1000
LOW_PER_S = 200.0
SHAPES = {"one_default": Shape(), "three_always": Shape(servers=3, sync="always")}


async def bench(size: Size, found: Figures) -> None:
    seconds = 6.0 if size is Size.SHORT else 60.0
    shapes = list(SHAPES.items())[: 1 if size is Size.SHORT else None]
    for name, shape in shapes:
        async with site(shape) as place:
            client = await Client.connect(place.urls[0], "zone-a")
            names = ids(RESOURCES)
            await client.each(names, CREATE)
            most = await client.closed(names, CHANGE, seconds / 2, depth=2)
            for load, per_s in (("200/s", LOW_PER_S), ("half of the most", most.per_s / 2)):
                before = place.cpu_s()
                window = await client.open_(itertools.cycle(names), CHANGE, per_s, int(per_s * seconds))
                figures = summary(window.latencies_s)
                spent_s = sum(place.cpu_s().values()) - sum(before.values())
                found.row(
                    "Latency, open loop, 1,000 resources, no device",
                    durability=shape.durability,
                    load=load,
                    per_s=per_s,
                    units=window.units,
                    **figures,
                    cores_in_use=spent_s / window.seconds,
                )
                if load == "200/s":
                    for quantile in ("p50_ms", "p99_ms"):
                        found.figure(f"latency.{name}.{quantile}", figures[quantile])
            client.check()
            client.close()


if __name__ == "__main__":
    main("latency", __doc__, bench)
