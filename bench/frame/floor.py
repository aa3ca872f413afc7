"""The floor: what the same promise of durability and order costs on raw NATS, as lean as we can write it.

One hop: units are published to a stream with receipts; one worker process reads them with one durable push consumer,
has a queue for each resource in its memory, publishes a result for each unit, and when that is stored acknowledges the
unit and takes the next one of that resource; the server shows results to the client once they are stored. A worker that
died would be sent again what it had not acknowledged. No fence, no tiers, no validation, no order after a redelivery.

    python -m bench.frame.floor URL          # the worker
"""

import asyncio
import contextlib
import json
import sys
from collections import deque
from pathlib import Path

import uvloop

from bench.frame.site import Servers, cpu_s_of, environment
from bench.frame.wire import Wire
from treeward.runtime.data_centre.child import Child

IN_HAND_MAX = 100_000
"""Units that the server lets the worker hold without an acknowledgement: its own default (1,000) would be the limit."""
RESULT = b'{"type":"completed","zone":"zone-a","kind":"vm","answered":12345,"operation":"resize"}'


class Worker:
    """A queue for each resource; one result in flight on each."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._queues: dict[bytes, deque[tuple[bytes, bytes]]] = {}
        """What waits for each resource, with where it is acknowledged; the first one is in hand."""

    def on_unit(self, subject: bytes, reply: bytes, data: bytes) -> None:
        name = subject.rpartition(b".")[2]
        queue = self._queues.get(name)
        if queue is None:
            self._queues[name] = deque([(data, reply)])
            self._act(name, data)
        else:
            queue.append((data, reply))

    def on_stored(self, subject: bytes, _reply: bytes, _data: bytes) -> None:
        name = subject.rpartition(b".")[2]
        queue = self._queues[name]
        _, reply = queue.popleft()
        self._wire.publish(reply.decode(), b"")
        if queue:
            self._act(name, queue[0][0])
        else:
            del self._queues[name]

    def _act(self, name: bytes, _data: bytes) -> None:
        text = name.decode()
        self._wire.publish(f"floor.log.{text}.completed", RESULT, f"floor.stored.{text}")


async def work(url: str) -> None:
    """The worker process."""
    wire = await Wire.connect(url)
    worker = Worker(wire)
    wire.subscribe("floor.deliver", worker.on_unit)
    wire.subscribe("floor.stored.*", worker.on_stored)
    answer = json.loads(
        await wire.request(
            "$JS.API.CONSUMER.DURABLE.CREATE.FLOOR_WORK.worker",
            json.dumps(
                {"stream_name": "FLOOR_WORK", "config": {"name": "worker", "deliver_subject": "floor.deliver",
                 "durable_name": "worker", "ack_policy": "explicit", "max_ack_pending": IN_HAND_MAX,
                 "deliver_policy": "all", "filter_subject": "floor.work.*"}}
            ).encode(),
            "floor.made",
        )
    )  # fmt: skip
    assert "error" not in answer, answer
    print("ready", flush=True)
    await wire.lost


class Floor:
    """Servers of the same kind as the path's, the two streams, and the worker as a process."""

    def __init__(self, folder: Path, servers: int, sync: str) -> None:
        self.servers = Servers(folder, servers, sync, "floor")
        self._count = servers
        self._log = folder / "floor.log"
        self._worker: Child | None = None

    @property
    def url(self) -> str:
        return self.servers.urls[0]

    async def start(self) -> None:
        self.servers.start()
        wire = await Wire.connect(self.url)
        common = {"num_replicas": self._count, "storage": "file", "retention": "limits", "discard": "new"}
        seen = {"src": "floor.log.*.*", "dest": "floor.event.{{wildcard(1)}}.{{wildcard(2)}}"}
        streams: dict[str, dict[str, object]] = {
            "FLOOR_WORK": {"subjects": ["floor.work.*"]},
            "FLOOR_LOG": {"subjects": ["floor.log.*.*"], "republish": seen},
        }
        for number, (name, own) in enumerate(streams.items()):
            body = json.dumps({"name": name, **common, **own}).encode()
            answer: dict[str, object] = {"error": "never answered"}
            for attempt in range(50):  # a cluster that is still choosing its leader says no, or nothing at all
                inbox = f"floor.api.{number}.{attempt}"
                with contextlib.suppress(TimeoutError):
                    answer = json.loads(await wire.request(f"$JS.API.STREAM.CREATE.{name}", body, inbox, timeout_s=1.0))
                if "error" not in answer:
                    break
                await asyncio.sleep(0.2)
            assert "error" not in answer, answer
        wire.close()
        self._worker = Child("floor", (sys.executable, "-m", "bench.frame.floor", self.url), environment(), self._log)
        self._worker.start()
        async with asyncio.timeout(20):
            while not self._log.exists() or "ready" not in self._log.read_text():
                assert self._worker.exit_code is None, self._log.read_text()
                await asyncio.sleep(0.02)

    def cpu_s(self) -> dict[str, float]:
        """CPU seconds so far of the worker and of the servers."""
        assert self._worker is not None
        process_id = self._worker.process_id
        assert process_id is not None
        members = [member.process_id for member in self.servers.members]
        return {"worker": cpu_s_of(process_id), "nats-server": sum(cpu_s_of(pid) for pid in members if pid is not None)}

    def kill(self) -> None:
        if self._worker is not None:
            self._worker.kill()
        self.servers.kill()


if __name__ == "__main__":
    uvloop.run(work(sys.argv[1]))
