"""How fast is one hot resource, whose units can only go one after the other?

`called ahead`: how many units of it may be called before the outcome of the first is stored (`TREEWARD_AHEAD_MAX`).
"""

from dataclasses import replace

from bench.frame.histogram import summary
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, site
from treeward.supervision.limits import AHEAD_MOST

SHAPES = {
    "one_default": Shape(),
    "one_always": Shape(sync="always"),
    "three_always": Shape(servers=3, sync="always"),
}
DEPTH = 64


async def bench(size: Size, found: Figures) -> None:
    seconds = 3.0 if size is Size.SHORT else 15.0
    for name, shape in SHAPES.items():
        for ahead in (1, AHEAD_MOST):
            async with site(replace(shape, settings={"TREEWARD_AHEAD_MAX": str(ahead)})) as place:
                client = await Client.connect(place.urls[0], "zone-a")
                hot = ids(1, "hot")
                await client.each(hot, CREATE)
                window = await client.closed(hot, CHANGE, seconds, depth=DEPTH)
                if ahead == 1:  # with one unit at a time there is nothing to call ahead
                    alone = await client.closed(hot, CHANGE, seconds / 2, depth=1)
                client.check()
                client.close()
            found.row(
                "One resource, closed loop, no device", durability=shape.durability, called_ahead=ahead,
                per_s=window.per_s,
            )  # fmt: skip
            found.figure(f"hot.{name}.ahead_{ahead}_per_s", window.per_s)
        found.row(
            "One unit at a time", durability=shape.durability, per_s=alone.per_s, **summary(alone.latencies_s)
        )  # fmt: skip


if __name__ == "__main__":
    main("hot", __doc__, bench)
