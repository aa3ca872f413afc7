"""How fast do units go through the whole path, against the floor of raw NATS in the same run?"""

import os
import tempfile
from pathlib import Path

from bench.frame.floor import Floor
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main, median
from bench.frame.site import Shape, cpu_s_of, site

RESOURCES = 1000
SHAPES = {"one_default": Shape(), "one_always": Shape(sync="always"), "three_always": Shape(servers=3, sync="always")}
DEPTH = 2
"""Units in flight on each resource."""


async def bench(size: Size, found: Figures) -> None:
    rounds, seconds = (3, 4.0) if size is Size.SHORT else (5, 8.0)
    for name, shape in SHAPES.items():
        await compare(name, shape, rounds, seconds, found)


async def compare(name: str, shape: Shape, rounds: int, seconds: float, found: Figures) -> None:
    """Floor and path in turn, so that each pair sees the same neighbours; the ratio is the median of the pairs'."""

    names = ids(RESOURCES)
    with tempfile.TemporaryDirectory(prefix="treeward-floor-") as folder:
        floor = Floor(Path(folder), shape.servers, shape.sync)
        try:
            await floor.start()
            async with site(shape) as place:
                path_client = await Client.connect(place.urls[0], "zone-a")
                floor_client = await Client.connect(floor.url, "zone-a", floor=True)
                await path_client.each(names, CREATE)
                ratios, path_rates, floor_rates = list[float](), list[float](), list[float]()
                path_us, floor_us = dict[str, list[float]](), dict[str, list[float]]()
                for _ in range(rounds):
                    own_s, before = cpu_s_of(os.getpid()), floor.cpu_s()
                    answered = floor_client.answered
                    lean = await floor_client.closed(names, CHANGE, seconds, depth=DEPTH)
                    units = floor_client.answered - answered
                    for role, spent in (floor.cpu_s() | {"client": cpu_s_of(os.getpid()) - own_s}).items():
                        floor_us.setdefault(role, []).append((spent - before.get(role, 0.0)) / units * 1e6)
                    before, answered = place.cpu_s(), path_client.answered
                    path = await path_client.closed(names, CHANGE, seconds, depth=DEPTH)
                    units = path_client.answered - answered
                    for role, spent in place.cpu_s().items():
                        path_us.setdefault(role, []).append((spent - before.get(role, 0.0)) / units * 1e6)
                    ratios.append(path.per_s / lean.per_s)
                    path_rates.append(path.per_s)
                    floor_rates.append(lean.per_s)
                path_client.check()
                floor_client.check()
                path_client.close()
                floor_client.close()
        finally:
            floor.kill()
    cpu_path = {role: median(values) for role, values in path_us.items()}
    cpu_floor = {role: median(values) for role, values in floor_us.items()}
    found.row(
        "Units a second, closed loop, 1,000 resources, no device", durability=shape.durability,
        floor_per_s=median(floor_rates), path_per_s=median(path_rates), ratio=median(ratios),
        ratio_of_cpu=sum(cpu_floor.values()) / sum(cpu_path.values()),
    )  # fmt: skip
    found.row("CPU microseconds a unit", durability=shape.durability, of="path", **cpu_path, sum=sum(cpu_path.values()))
    found.row(
        "CPU microseconds a unit", durability=shape.durability, of="floor", **cpu_floor, sum=sum(cpu_floor.values())
    )
    found.figure(f"path.{name}.ratio", median(ratios))
    found.figure(f"path.{name}.ratio_of_cpu", sum(cpu_floor.values()) / sum(cpu_path.values()))
    found.figure(f"path.{name}.per_s", median(path_rates))


if __name__ == "__main__":
    main("path", __doc__, bench)
