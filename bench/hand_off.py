"""How long is a resource not served when its agent hands over in order (SIGTERM), and when it moves to another host?"""

import asyncio
import itertools

from bench.frame.filled import fill, owner_of
from bench.frame.histogram import summary
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, site
from bench.recovery import SHAPE

RESOURCES, ACTIVE = 10_000, 100
PER_S = 200.0
CALM_S = 2.0
ROUND_S = 8.0


class Waits:
    """The longest time that each resource let a unit wait, from when it was due."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.longest_s: dict[bytes, float] = {}
        client.on_outcome = self._outcome

    def _outcome(self, name: bytes, _now_s: float) -> None:
        waited_s = self._client.latencies_s[-1]
        self.longest_s[name] = max(self.longest_s.get(name, 0.0), waited_s)

    def take(self) -> list[float]:
        """What was seen since the last time."""
        taken, self.longest_s = list(self.longest_s.values()), {}
        return taken


async def bench(size: Size, found: Figures) -> None:
    rounds = 2 if size is Size.SHORT else 10
    async with site(SHAPE) as place:
        client = await Client.connect(place.urls[0], "zone-a")
        names = ids(RESOURCES)
        await fill(place, names)
        await client.each(["probe"], CREATE)
        active = names[:: RESOURCES // ACTIVE]
        await client.each(active, CHANGE)
        waits = Waits(client)
        load = asyncio.create_task(client.open_(itertools.cycle(active), CHANGE, PER_S, int(PER_S * rounds * ROUND_S)))
        usual, pauses = [], []
        while not load.done():
            await asyncio.sleep(CALM_S)
            usual += waits.take()
            name = await owner_of(place, "a1")
            place.programs[name].ask_to_end()
            async with asyncio.timeout(40):
                while place.programs[name].process_id is not None:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(CALM_S)
            pauses += waits.take()
            place.programs[name].start()
            await asyncio.sleep(CALM_S)
            waits.take()
        await load
        client.check()
        client.close()
    title = f"Longest wait of each of {ACTIVE} active resources of {RESOURCES:,}, open loop, {PER_S:.0f} units/s"
    found.row(title, during=f"{CALM_S:.0f} s in which nothing happens", **summary(usual))
    found.row(title, during="the agent hands over", **summary(pauses))
    found.figure("hand_off.p99_ms", summary(pauses)["p99_ms"])
    await migrating(size, found)


async def migrating(size: Size, found: Figures) -> None:
    """A move within a pod: the unit `migrate` is answered where the resource then is."""
    count = 100 if size is Size.SHORT else 1_000
    async with site(Shape(hosts=2)) as place:
        client = await Client.connect(place.urls[0], "zone-a")
        names = ids(count)
        await client.each(names, CREATE)
        client.latencies_s = []
        per_s = 50.0
        window = await client.open_(iter(names), b'{"operation":"migrate"}', per_s, count)
        client.close()
        found.row(
            "A move to another host (`migrate`), from when it was due to its outcome", units=count, per_s=per_s,
            **summary(window.latencies_s),
        )  # fmt: skip


if __name__ == "__main__":
    main("hand_off", __doc__, bench)
