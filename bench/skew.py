"""What do a few hot resources do to all the others, when use follows Zipf's law?"""

from collections.abc import Iterator

import numpy as np

from bench.frame.histogram import summary
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, site

EXPONENT = 1.1
SEED = 1


def drawn(names: list[str], count: int) -> list[str]:
    """So many names, the k-th as often as k ** -1.1."""
    weights = np.arange(1, len(names) + 1) ** -EXPONENT
    chosen = np.random.default_rng(SEED).choice(len(names), size=count, p=weights / weights.sum())
    return [names[index] for index in chosen]


async def bench(size: Size, found: Figures) -> None:
    resources, units, per_s = (5_000, 4_000, 400.0) if size is Size.SHORT else (100_000, 120_000, 1_000.0)
    async with site(Shape()) as place:
        client = await Client.connect(place.urls[0], "zone-a")
        names = ids(resources)
        client.keep_latencies = False
        seconds = await client.each(names, CREATE)
        client.keep_latencies = True
        found.row("Placing them", resources=resources, per_s=resources / seconds)
        sequence = drawn(names, units)
        hottest = set(names[:10])
        latencies: dict[bool, list[float]] = {True: [], False: []}

        def note(name: bytes, _now_s: float) -> None:
            latencies[name.decode() in hottest].append(client.latencies_s[-1])

        client.on_outcome = note
        following: Iterator[str] = iter(sequence)
        window = await client.open_(following, CHANGE, per_s, units)
        client.check()
        client.close()
    parts = {"the ten hottest": latencies[True], "all others": latencies[False], "all": window.latencies_s}
    for which, samples in parts.items():
        found.row(
            "Latency under Zipf's law (exponent 1.1), open loop",
            of=which,
            units=len(samples),
            per_s=per_s,
            **summary(samples),
        )


if __name__ == "__main__":
    main("skew", __doc__, bench)
