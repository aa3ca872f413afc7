"""How long does a resource wait for its next completed unit when a program is killed (kill -9) under load?"""

import asyncio
from time import perf_counter

from bench.frame.filled import fill, owner_of
from bench.frame.histogram import summary
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, Site, site

RESOURCES, ACTIVE = 10_000, 500
BEFORE_S = 2.0
AFTER_S_MAX = 30.0
SHAPE = Shape(orchestrators=2, zone_supervisors=2, agents=2)


class Gaps:
    """When each active resource was last answered before something happened, and first after it."""

    def __init__(self, client: Client, names: list[str]) -> None:
        self._client = client
        self.first_s: dict[bytes, float] = {}
        self.since_s = float("inf")
        self.going = True
        self._last_s: dict[bytes, float] = {}
        self.longest_s: dict[bytes, float] = dict.fromkeys((name.encode() for name in names), 0.0)
        client.on_outcome = self._outcome

    def _outcome(self, name: bytes, now_s: float) -> None:
        if now_s >= self.since_s:
            self.first_s.setdefault(name, now_s)
        if name in self._last_s:
            self.longest_s[name] = max(self.longest_s[name], now_s - self._last_s[name])
        self._last_s[name] = now_s
        if self.going:
            self._client.send(name.decode(), CHANGE, now_s)

    def begin(self) -> None:
        """From now on a first unit of each resource is waited for."""
        self.first_s.clear()
        self.longest_s = dict.fromkeys(self.longest_s, 0.0)
        self.since_s = perf_counter()

    async def all_seen(self, count: int) -> list[float]:
        """Seconds from `begin` to the first completed unit of each."""
        async with asyncio.timeout(AFTER_S_MAX):
            while len(self.first_s) < count:
                await asyncio.sleep(0.005)
        return [at_s - self.since_s for at_s in self.first_s.values()]

    async def end(self) -> None:
        """Submit no more, and wait for what is on its way."""
        self.going = False
        await self._client.settled()


async def kill_one(place: Site, role: str, gaps: Gaps, count: int) -> list[float]:
    """Kill who is at work in this role, wait, and start it again."""
    name = {"pod-agent": await owner_of(place, "a1"), "zone-supervisor": await owner_of(place)}.get(
        role, "orchestrator-1"
    )
    gaps.begin()
    place.programs[name].kill()
    waits = await gaps.all_seen(count)
    place.programs[name].start()
    await asyncio.sleep(BEFORE_S)
    return waits


async def bench(size: Size, found: Figures) -> None:
    rounds = 1 if size is Size.SHORT else 5
    async with site(SHAPE) as place:
        client = await Client.connect(place.urls[0], "zone-a")
        client.keep_latencies = False
        names = ids(RESOURCES)
        await fill(place, names)
        await client.each(["probe"], CREATE)
        active = names[:: RESOURCES // ACTIVE]
        await client.each(active, CHANGE)
        gaps = Gaps(client, active)
        for name in active:
            client.send(name, CHANGE, perf_counter())
        await asyncio.sleep(BEFORE_S)
        for role in ("pod-agent", "zone-supervisor", "orchestrator"):
            waits = [wait for _ in range(rounds) for wait in await kill_one(place, role, gaps, len(active))]
            quantiles = summary(waits)
            found.row(
                f"kill -9 under load to the first completed unit of each of {ACTIVE} active resources of {RESOURCES:,}",
                killed=role, rounds=rounds, **quantiles,
            )  # fmt: skip
            if role == "pod-agent":
                found.figure("recovery.agent_p99_s", quantiles["p99_ms"] / 1e3)
        await gaps.end()
        client.check()
        client.close()


if __name__ == "__main__":
    main("recovery", __doc__, bench)
