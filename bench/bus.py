"""How many messages a second do reader, appender, submit and questions carry, and what does each cost in CPU time?

    python bench/bus.py [--messages 100000] [--sync 2m] [--cluster]

Client and servers share this machine's cores; microseconds are CPU time per message, of the client (this process) and
of all servers together.
"""

import argparse
import asyncio
import os
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import uvloop

from treeward.bus.interface import AppendResult, BusError, Draft, Guard, Stored
from treeward.bus.nats_bus import NatsBus
from treeward.bus.provision import provision
from treeward.runtime.embedded_nats import ClusterMember, EmbeddedNats, free_port
from treeward.schemas import streams, subjects
from treeward.schemas.streams import Retention

ZONE = "bench"
BODY = (
    b'{"operation":"create","spec":{"cpus":2,"memory_mib":512},"life":1234,"answered":5678,"note":"'
    + b"x" * 200
    + b'"}'
)
HEADERS = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
KEYS = [f"vm.v{number}" for number in range(1000)]


def server_cpu_s(servers: Sequence[EmbeddedNats]) -> float:
    total = 0
    for server in servers:
        fields = Path(f"/proc/{server.process_id}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


async def measure(
    name: str, messages: int, servers: Sequence[EmbeddedNats], run: Callable[[], Awaitable[None]]
) -> None:
    wall_s, client_s, server_s = time.perf_counter(), time.process_time(), server_cpu_s(servers)
    await run()
    wall_s, client_s, server_s = (
        time.perf_counter() - wall_s,
        time.process_time() - client_s,
        server_cpu_s(servers) - server_s,
    )
    print(
        f"{name:<44}{messages / wall_s:>10,.0f}/s{client_s / messages * 1e6:>9.1f} us client"
        f"{server_s / messages * 1e6:>9.1f} us server",
        flush=True,
    )


async def fill(bus: NatsBus, count: int) -> None:
    """Publish into WORK without waiting for each, and wait for the last."""
    for number in range(count):
        bus.publish(subjects.work(ZONE, KEYS[number % len(KEYS)]), BODY, HEADERS)
        if number % 500 == 499:
            await bus.submit(subjects.work(ZONE, KEYS[0]), BODY)


async def read_all(bus: NatsBus) -> None:
    done = asyncio.Event()
    count = 0

    def deliver(_stored: Stored) -> None:
        nonlocal count
        count += 1

    reader = await bus.read(
        streams.work(ZONE), subjects.work_of_zone(ZONE), 1, deliver, on_lost=done.set, on_caught_up=done.set
    )
    await done.wait()
    await reader.close()


async def append_all(bus: NatsBus, guard: Guard, calls: int, drafts: int, in_flight: int) -> None:
    """Keep `in_flight` calls going, as that many resources would."""
    appender = bus.appender(streams.log(ZONE), guard)
    finished = asyncio.Event()
    started = answered = 0

    def next_call() -> None:
        nonlocal started
        key = KEYS[started % len(KEYS)]
        started += 1
        appender.append([Draft(subjects.log(ZONE, key, "completed"), BODY, HEADERS)] * drafts, done)

    def done(result: AppendResult) -> None:
        nonlocal answered
        assert isinstance(result, int), result
        answered += 1
        if started < calls:
            next_call()
        elif answered == calls:
            finished.set()

    for _ in range(min(in_flight, calls)):
        next_call()
    await finished.wait()
    appender.close()


async def ask_all(bus: NatsBus, count: int) -> None:
    for begin in range(0, count, 500):
        await asyncio.gather(
            *(bus.last(streams.log(ZONE), subjects.log_of_resource(ZONE, key)) for key in KEYS[:500][: count - begin])
        )


async def submit_all(bus: NatsBus, count: int) -> None:
    for _ in range(count // 256):
        await asyncio.gather(*(bus.submit(subjects.work(ZONE, key), BODY) for key in KEYS[:256]))


async def bench(servers: Sequence[EmbeddedNats], messages: int) -> None:
    bus = await NatsBus.connect([server.url for server in servers], timeout_s=20)
    while True:
        try:
            await provision(bus, ZONE, Retention(replicas=len(servers)))
            break
        except BusError as error:
            print(f"waiting: {error}")
    claim = subjects.claim_of_zone(ZONE)
    epoch = await bus.append_expecting(streams.log(ZONE), Draft(claim, b"{}"), subject=claim, position=0)
    assert isinstance(epoch, int), epoch
    guard = Guard(claim, epoch)
    await measure("publish into WORK, one receipt in 500", messages, servers, lambda: fill(bus, messages))
    await measure("reader", messages, servers, lambda: read_all(bus))
    for in_flight in (1, 16, 256, 1000):
        calls = min(messages, 500 if in_flight == 1 else 100 * in_flight)
        name = f"append, {in_flight} in flight"
        await measure(name, calls, servers, partial(append_all, bus, guard, calls, 1, in_flight))
    for drafts in (2, 16, 40):
        calls = min(messages, 20_000 // drafts)
        name = f"append, {drafts} drafts a call, 256 in flight, per call"
        await measure(name, calls, servers, partial(append_all, bus, guard, calls, drafts, 256))
    await measure(
        "append, 1000 drafts a call, 1 in flight, per draft",
        10_000,
        servers,
        lambda: append_all(bus, guard, 10, 1000, 1),
    )
    await measure("last, 500 at once", 5_000, servers, lambda: ask_all(bus, 5_000))
    await measure("submit, 256 at once", 5_120, servers, lambda: submit_all(bus, 5_120))
    await bus.close()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--messages", type=int, default=100_000)
    arguments.add_argument("--sync", default="2m", help="sync_interval of the servers: 2m, always")
    arguments.add_argument("--cluster", action="store_true", help="three servers, three replicas")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory, ExitStack() as stack:
        ports = tuple(free_port() for _ in range(3 if options.cluster else 1))
        servers = [
            EmbeddedNats(
                Path(directory) / f"nats-{port}",
                name=f"nats-{port}",
                sync_interval=options.sync,
                cluster=ClusterMember("bench", port, ports) if options.cluster else None,
            )
            for port in ports
        ]
        for server in servers:
            server.start()
            stack.callback(server.kill)
        uvloop.run(bench(servers, options.messages))


if __name__ == "__main__":
    main()
