"""A zone that has many resources already: their last events are put into the log as their owners would have put them.

Creating a million resources through the path takes as long as it takes; what a million of them cost is another
question. Each event is what the owner of the pod says last of a VM that was created, so the programs read, fold and
fetch exactly what they would have.
"""

import asyncio
import json
import time

from bench.frame.load import StuckError
from bench.frame.no_device import DEFINITION
from bench.frame.site import Site
from bench.frame.wire import Wire
from treeward.bus.interface import Stored
from treeward.bus.nats_bus import NatsBus
from treeward.schemas import streams, subjects

IN_FLIGHT_MAX = 5_000
QUIET_S = 30.0


async def last_of(place: Site, subject: str, zone: str = "zone-a") -> Stored | None:
    """The last event on a subject of the log."""
    bus = await NatsBus.connect(place.urls, name="bench", timeout_s=20)
    try:
        return await bus.last(streams.log(zone), subject)
    finally:
        await bus.close()


async def owner_of(place: Site, pod: str | None = None, zone: str = "zone-a") -> str:
    """The program that owns a pod, or the zone."""
    subject = subjects.claim_of_zone(zone) if pod is None else subjects.claim_of_pod(zone, pod)
    stored = await last_of(place, subject, zone)
    assert stored is not None, f"nobody was claimed: {subject}"
    owner: str = json.loads(stored.data)["owner"]
    return owner.rpartition("-")[0]


async def fill(place: Site, names: list[str], *, zone: str = "zone-a", pod: str = "a1") -> float:
    """Have these VMs placed in a pod; returns the seconds that the server took."""
    stored = await last_of(place, subjects.claim_of_pod(zone, pod), zone)
    assert stored is not None
    definition = DEFINITION  # what the device will say: else each of them has drifted
    event = {
        "type": "completed", "zone": zone, "kind": "vm", "id": "", "life": stored.position, "answered": 1,
        "at": "2026-01-01T00:00:00Z", "pod": pod, "host": f"{pod}-h1", "definition": definition, "ticket": 1,
        "operation": "create", "observed": {"host": f"{pod}-h1", "state": "running"},
    }  # fmt: skip
    before, _, after = json.dumps(event).partition('"id": ""')
    wire = await Wire.connect(place.urls[0])
    stored_count = 0
    refused: list[bytes] = []

    def acknowledged(_subject: bytes, _reply: bytes, data: bytes) -> None:
        nonlocal stored_count
        stored_count += 1
        if b'"error"' in data:
            refused.append(data)

    wire.subscribe("_INBOX.bench-fill", acknowledged)
    begun_s = time.perf_counter()
    for number, name in enumerate(names):
        body = f'{before}"id": "{name}"{after}'.encode()
        wire.publish(f"tw.log.{zone}.vm.{name}.completed", body, "_INBOX.bench-fill")
        if number % 250 == 249:
            await _until_stored(lambda sent=number: sent - stored_count < IN_FLIGHT_MAX)
    await _until_stored(lambda: stored_count == len(names))
    wire.close()
    assert not refused, refused[:3]
    return time.perf_counter() - begun_s


async def _until_stored(condition: object) -> None:
    assert callable(condition)
    begun_s = time.perf_counter()
    while not condition():
        if time.perf_counter() - begun_s > QUIET_S:
            raise StuckError("the server does not store")
        await asyncio.sleep(0.001)
    await asyncio.sleep(0)
