"""How fast is one hot resource, whose units can only go one after the other?"""

from bench.frame.histogram import summary
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, site

SHAPES = {
    "one_default": Shape(),
    "one_always": Shape(sync="always"),
    "three_always": Shape(servers=3, sync="always"),
}
DEPTH = 64


async def bench(size: Size, found: Figures) -> None:
    seconds = 4.0 if size is Size.SHORT else 15.0
    for name, shape in SHAPES.items():
        async with site(shape) as place:
            client = await Client.connect(place.urls[0], "zone-a")
            hot = ids(1, "hot")
            await client.each(hot, CREATE)
            window = await client.closed(hot, CHANGE, seconds, depth=DEPTH)
            alone = await client.closed(hot, CHANGE, seconds / 2, depth=1)
            client.check()
            client.close()
        found.row(
            "One resource, closed loop, no device", durability=shape.durability, per_s=window.per_s,
            alone_per_s=alone.per_s, **{f"alone_{name}": value for name, value in summary(alone.latencies_s).items()},
        )  # fmt: skip
        found.figure(f"hot.{name}.per_s", window.per_s)


if __name__ == "__main__":
    main("hot", __doc__, bench)
