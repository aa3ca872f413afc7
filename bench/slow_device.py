"""What remains of the rate when each call to the device takes 10 ms, and what do the books of the simulator cost?"""

from bench.frame.histogram import summary
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, site

RESOURCES = 1000
SHAPES = {
    "no device": Shape(),
    "10 ms a call": Shape(settings={"BENCH_CALL_S": "0.010"}),
    "device simulator": Shape(simulator=True),
}


async def bench(size: Size, found: Figures) -> None:
    seconds = 4.0 if size is Size.SHORT else 20.0
    for device, shape in SHAPES.items():
        async with site(shape) as place:
            client = await Client.connect(place.urls[0], "zone-a")
            names = ids(RESOURCES)
            await client.each(names, CREATE)
            before, answered = place.cpu_s(), client.answered
            window = await client.closed(names, CHANGE, seconds, depth=2)
            units = client.answered - answered
            spent = {role: (at - before.get(role, 0.0)) / units * 1e6 for role, at in place.cpu_s().items()}
            client.check()
            client.close()
        quantiles = summary(window.latencies_s)
        found.row("Devices, closed loop, 1,000 resources", device=device, per_s=window.per_s, **quantiles)
        found.row("CPU microseconds a unit", device=device, **spent)


if __name__ == "__main__":
    main("slow_device", __doc__, bench)
