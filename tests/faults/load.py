"""Ordinary clients: they know NATS and the form of a unit of work, and nothing else of the product.

Each has a connection of its own, submits under a message id of its own until it has a receipt, and writes every receipt
down: what it was promised. Most of what they ask makes sense, some does not, some cannot even be read.
"""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, NamedTuple

import nats
import nats.errors
import nats.js.errors
from nats.aio.client import Client

IN_FLIGHT_MAX = 48
HOT_RESOURCES = 3
HOT_SHARE = 0.2
BURST_SHARE = 0.02
BURST_UNITS = 10
"""So that units wait behind one another also when nothing is broken."""
ATTEMPT_S = 3.0
AGAIN_S = 0.2
BAD_BODIES = (
    b"", b"{", b"[]", b'{"operation":"create","speck":{}}', b'{"operation":"fly"}', b'{"operation":7}',
    b'{"operation":"create","operation":"destroy"}', b'{"operation":"stop","deadline":"tomorrow"}', b"\xff\xfe",
)  # fmt: skip


class Receipt(NamedTuple):
    """What a client was promised."""

    zone: str
    key: str
    ticket: int
    message_id: str
    body: bytes
    attempted_s: float
    received_s: float
    attempts: int


@dataclass(slots=True)
class _Resource:
    """What a client believes of a resource of its own; it may be wrong."""

    key: str
    exists: bool = False
    running: bool = True
    size_gib: int = 1
    attached_to: str | None = None
    last_ticket: int = 0


@dataclass(slots=True)
class Load:
    """Clients at work at `units_per_s` in all, until `stopping` is set."""

    urls: Sequence[str]
    zones: Sequence[str]
    units_per_s: float
    seed: int
    clients: int = 4
    vms: int = 40
    volumes: int = 12
    """Resources of one client."""
    login: Mapping[str, Any] = field(default_factory=dict)
    """Options of `nats.connect`, where the servers want a key."""
    receipts: list[Receipt] = field(default_factory=list)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    tickets: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))

    async def run(self) -> None:
        """Submit until told to stop; then every unit that was begun still gets its receipt."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.clients):
                group.create_task(self._client(number))

    async def _client(self, number: int) -> None:
        client = await connected(self.urls, f"client-{number}", self.login)
        try:
            await _Client(self, client, number).run()
        finally:
            with suppress(nats.errors.Error, TimeoutError):
                await client.close()


async def connected(urls: Sequence[str], name: str, login: Mapping[str, Any] | None = None) -> Client:
    """A connection that comes back by itself."""

    async def quiet(_error: Exception) -> None:
        """It is expected to be cut."""

    return await nats.connect(
        list(urls),
        name=name,
        error_cb=quiet,
        max_reconnect_attempts=-1,
        reconnect_time_wait=0.2,
        ping_interval=2,
        allow_reconnect=True,
        **(login or {}),
    )


async def submit(client: Client, zone: str, key: str, body: bytes, message_id: str) -> Receipt:
    """Publish until the stream has confirmed it, always under the same id."""
    context = client.jetstream()
    attempted_s, attempts = time.time(), 0
    while True:
        attempts += 1
        try:
            answer = await context.publish(
                f"tw.work.{zone}.{key}", body, timeout=ATTEMPT_S, headers={"Nats-Msg-Id": message_id}
            )
        except (nats.errors.Error, nats.js.errors.Error, TimeoutError, OSError):
            await asyncio.sleep(AGAIN_S)  # a client's own patience: it waits for nothing
            continue
        return Receipt(zone, key, answer.seq, message_id, body, attempted_s, time.time(), attempts)


class _Client:
    """One client with resources of its own in one zone."""

    def __init__(self, load: Load, client: Client, number: int) -> None:
        self._load = load
        self._client = client
        self._number = number
        self._zone = load.zones[number % len(load.zones)]
        self._chance = Random(load.seed * 1000 + number)
        self._vms = [_Resource(f"vm.c{number}-v{index}") for index in range(load.vms)]
        self._volumes = [_Resource(f"volume.c{number}-d{index}") for index in range(load.volumes)]
        self._count = 0

    async def run(self) -> None:
        pause_s = self._load.clients / self._load.units_per_s
        loop = asyncio.get_running_loop()
        free = asyncio.Semaphore(IN_FLIGHT_MAX)
        due_s = loop.time()
        async with asyncio.TaskGroup() as group:
            while not self._load.stopping.is_set():
                resource = self._choose()
                units = BURST_UNITS if self._chance.random() < BURST_SHARE else 1
                for _ in range(units):
                    await free.acquire()
                    task = group.create_task(self._submit(resource, self._draw(resource)))
                    task.add_done_callback(lambda _task: free.release())
                due_s = max(due_s + units * pause_s, loop.time() - 1.0)  # what an outage has cost is not caught up
                await asyncio.sleep(max(0.0, due_s - loop.time()))  # an open loop: units come when they are due

    async def _submit(self, resource: _Resource, body: bytes) -> None:
        self._count += 1
        message_id = f"{self._load.seed}-{self._number}-{self._count}"
        receipt = await submit(self._client, self._zone, resource.key, body, message_id)
        resource.last_ticket = receipt.ticket
        self._load.receipts.append(receipt)
        self._load.tickets[self._zone].append(receipt.ticket)

    # --- what is asked -------------------------------------------------------------------------------------------

    def _choose(self) -> _Resource:
        chance = self._chance
        if chance.random() < HOT_SHARE:
            return chance.choice(self._vms[:HOT_RESOURCES])
        return chance.choice(self._vms if chance.random() < 0.75 else self._volumes)

    def _draw(self, resource: _Resource) -> bytes:
        kind = self._chance.random()
        if kind < 0.01:
            return self._chance.choice(BAD_BODIES)
        if kind < 0.04 and resource.last_ticket:
            return self._body("cancel", ticket=resource.last_ticket)
        operation, spec = self._vm(resource) if resource.key.startswith("vm.") else self._volume(resource)
        return self._body(operation, spec, **self._policies())

    def _policies(self) -> dict[str, Any]:
        chance, fields = self._chance, dict[str, Any]()
        if chance.random() < 0.05:
            fields["on_failure"] = chance.choice(["reallocate", "fail"])
        if chance.random() < 0.02:
            fields["order"] = "supersede"
        if chance.random() < 0.04:
            at = datetime.now(UTC) + timedelta(seconds=chance.uniform(0.0, 4.0))
            fields["deadline"] = at.isoformat()
        known = self._load.tickets[self._zone]
        if known and chance.random() < 0.05:
            fields["after"] = sorted({chance.choice(known[-100:]) for _ in range(chance.randint(1, 3))})
        return fields

    def _vm(self, vm: _Resource) -> tuple[str, dict[str, Any] | None]:
        chance = self._chance
        if not vm.exists:
            vm.exists, vm.running = True, True
            return "create", {"cpus": chance.choice([0.01, 0.02]), "memory_mib": chance.choice([16, 32])}
        kind = chance.random()
        if kind < 0.12:
            vm.exists = False
            return "destroy", None
        if kind < 0.15:
            return "migrate", None
        if kind < 0.35:
            return "resize", {"memory_mib": chance.choice([16, 24, 32, 48])}
        if kind < 0.40:
            return ("start" if vm.running else "stop"), None  # it is so already: the device refuses
        vm.running = not vm.running
        return ("start" if vm.running else "stop"), None

    def _volume(self, volume: _Resource) -> tuple[str, dict[str, Any] | None]:
        chance = self._chance
        if not volume.exists:
            volume.exists, volume.size_gib, volume.attached_to = True, 1, None
            return "create", {"size_gib": 1}
        kind = chance.random()
        if volume.attached_to is not None and kind < 0.4:
            vm, volume.attached_to = volume.attached_to, None
            return "detach", {"vm": vm}
        if volume.attached_to is None and kind < 0.3:
            volume.attached_to = chance.choice(self._vms).key.partition(".")[2]
            return "attach", {"vm": volume.attached_to}
        if kind < 0.5:
            volume.exists = False
            return "destroy", None
        volume.size_gib = volume.size_gib % 8 + 1
        return "resize", {"size_gib": volume.size_gib}

    @staticmethod
    def _body(operation: str, spec: dict[str, Any] | None = None, **fields: Any) -> bytes:
        body: dict[str, Any] = {"operation": operation, **fields}
        if spec is not None:
            body["spec"] = spec
        return json.dumps(body).encode()
