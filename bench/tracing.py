"""What do spans of every unit cost?"""

import asyncio
from contextlib import AsyncExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection

from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main, median
from bench.frame.site import Shape, site

RESOURCES = 1_000


class _Sink(BaseHTTPRequestHandler):
    """Takes whatever is exported, and throws it away."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def sink(told: Connection) -> None:
    """A process that takes spans; it is not counted."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    told.send(server.server_address[1])
    server.serve_forever()


async def bench(size: Size, found: Figures) -> None:
    rounds, seconds = (3, 3.0) if size is Size.SHORT else (7, 8.0)
    here, there = get_context("spawn").Pipe()
    receiver = get_context("spawn").Process(target=sink, args=(there,), daemon=True)
    receiver.start()
    try:
        port = await asyncio.to_thread(here.recv)
        on = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}", "OTEL_TRACES_SAMPLER": "always_on"}
        async with AsyncExitStack() as stack:
            clients, places = {}, {}
            for state, settings in (("off", {}), ("on", on)):
                places[state] = await stack.enter_async_context(site(Shape(settings=settings)))
                clients[state] = await Client.connect(places[state].urls[0], "zone-a")
                await clients[state].each(ids(RESOURCES), CREATE)
            rates: dict[str, list[float]] = {"off": [], "on": []}
            costs: dict[str, dict[str, list[float]]] = {"off": {}, "on": {}}
            for _ in range(rounds):
                for state, client in clients.items():
                    before, answered = places[state].cpu_s(), client.answered
                    window = await client.closed(ids(RESOURCES), CHANGE, seconds, depth=2)
                    rates[state].append(window.per_s)
                    for role, at in places[state].cpu_s().items():
                        us = (at - before.get(role, 0.0)) / (client.answered - answered) * 1e6
                        costs[state].setdefault(f"{role}_us", []).append(us)
            for state in ("off", "on"):
                spent = {role: median(values) for role, values in costs[state].items()}
                found.row(
                    "Tracing, closed loop, 1,000 resources, in turn",
                    tracing=state, per_s=median(rates[state]), **spent, sum_us=sum(spent.values()),
                )  # fmt: skip
            ratio = median([with_ / without for with_, without in zip(rates["on"], rates["off"], strict=True)])
            found.figure("tracing.ratio", ratio)
            for client in clients.values():
                client.check()
                client.close()
    finally:
        receiver.kill()
        receiver.join()


if __name__ == "__main__":
    main("tracing", __doc__, bench)
