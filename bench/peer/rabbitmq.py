"""The workload on RabbitMQ: a durable queue with single active consumer for each resource.

    python rabbitmq.py worker URL RESOURCES
    python rabbitmq.py client URL RESOURCES DEPTH SECONDS     # prints one line of JSON

Messages are persistent and every publish is confirmed. The worker holds one unit of each queue, publishes a result,
and acknowledges the unit when the result is confirmed. Runs in an environment of its own (aio-pika), not in ours.
"""

import asyncio
import json
import sys
from time import perf_counter

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

BODY = b'{"operation":"resize","spec":{"memory_mib":1}}'
QUEUES_PER_CHANNEL = 100


def message(body: bytes) -> aio_pika.Message:
    return aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)


async def declare(channel: AbstractChannel, name: str, *, single: bool) -> aio_pika.abc.AbstractQueue:
    return await channel.declare_queue(
        name, durable=True, arguments={"x-single-active-consumer": True} if single else {}
    )


async def work(url: str, resources: int) -> None:
    connection = await aio_pika.connect(url)
    out = await connection.channel(publisher_confirms=True)
    await declare(out, "results", single=False)
    exchange = out.default_exchange

    async def act(unit: AbstractIncomingMessage) -> None:
        await exchange.publish(message(unit.routing_key.encode()), "results")
        await unit.ack()

    for first in range(0, resources, QUEUES_PER_CHANNEL):
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=1)  # of each consumer
        for number in range(first, min(first + QUEUES_PER_CHANNEL, resources)):
            await (await declare(channel, f"v{number}", single=True)).consume(act)
    print("ready", flush=True)
    await asyncio.Event().wait()


async def load(url: str, resources: int, depth: int, seconds: float) -> None:
    connection = await aio_pika.connect(url)
    out = await connection.channel(publisher_confirms=True)
    exchange = out.default_exchange
    results = await declare(out, "results", single=False)
    begin_s = perf_counter() + 1.0
    end_s = begin_s + seconds
    counted = in_flight = 0
    sent: set[asyncio.Task[object]] = set()
    over = asyncio.Event()

    def send(name: str) -> None:
        nonlocal in_flight
        in_flight += 1
        task = asyncio.ensure_future(exchange.publish(message(BODY), name))
        sent.add(task)
        task.add_done_callback(sent.discard)

    async def done(result: AbstractIncomingMessage) -> None:
        nonlocal counted, in_flight
        await result.ack()
        in_flight -= 1
        now_s = perf_counter()
        if begin_s <= now_s < end_s:
            counted += 1
        if now_s < end_s:
            send(result.body.decode())
        elif in_flight == 0:
            over.set()

    channel = await connection.channel()
    await channel.set_qos(prefetch_count=1000)
    await (await channel.get_queue(results.name)).consume(done)
    for _ in range(depth):
        for number in range(resources):
            send(f"v{number}")
    await asyncio.wait_for(over.wait(), seconds + 60)
    print(json.dumps({"per_s": counted / seconds, "units": counted}), flush=True)
    await connection.close()


if __name__ == "__main__":
    if sys.argv[1] == "worker":
        asyncio.run(work(sys.argv[2], int(sys.argv[3])))
    else:
        asyncio.run(load(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))
