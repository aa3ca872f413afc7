"""What do many resources cost while nobody uses them, when all are used, and when their owner is replaced?"""

import asyncio
import gc
import tracemalloc
from time import perf_counter

from bench.frame.filled import fill, owner_of
from bench.frame.load import CHANGE, CREATE, Client, ids
from bench.frame.result import Figures, Size, main
from bench.frame.site import Shape, Site, site
from treeward.runtime import codec
from treeward.schemas.device import Answer
from treeward.schemas.mailbox import Message
from treeward.supervision.effects import Append, Call, Synchronize
from treeward.supervision.idle_rows import REST_S
from treeward.supervision.limits import Limits
from treeward.supervision.pod_owner import PodOwner

ROWS = 20_000
EPOCH = 5
UNIT_S = 0.00025
UNITS_PER_TICK = 200
"""As at 4,000 units a second."""
BEGIN_S = 1e9
PLACED = (
    b'{"type":"placed","zone":"zone-a","kind":"vm","id":"%s","life":4,"at":"2026-01-01T00:00:00Z","pod":"a1",'
    b'"host":"a1-h%d","reserves":{"cpus":1.0,"memory_mib":%d,"gpus":0.0,"running":true,"requires":{}}}'
)
ANSWER = (
    b'{"seq":1,"status":"%s","high":%d,"owner":"agent-1","last":%d,"last_applied":true,"exists":true,'
    b'"definition":{"cpus":1.0,"memory_mib":%d,"gpus":0.0,"running":true},'
    b'"observed":{"host":"a1-h%d","state":"running"}}'
)
HOSTS = 100


def row_bytes(*, rested: bool) -> float:
    """Bytes of memory for each row that was used once, right after its unit or after a moment's rest.

    The fold of a pod, fed from bytes; no two resources have the same definition.
    """
    owner = PodOwner("zone-a", "a1", EPOCH, Limits())
    gc.collect()
    tracemalloc.start()
    begin, _ = tracemalloc.get_traced_memory()
    now_s = BEGIN_S
    for number in range(ROWS):
        use_once(owner, number, now_s)
        now_s += UNIT_S
        if rested and number % UNITS_PER_TICK == 0:
            owner.tick(now_s)
    for tick in range(10 if rested else 0):
        owner.tick(now_s + 2 * REST_S + tick)
    gc.collect()
    end, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert owner.in_use == ROWS and len(owner.rows) == (0 if rested else ROWS)
    return (end - begin) / ROWS


def use_once(owner: PodOwner, number: int, now_s: float) -> None:
    """Bring one resource into use: place, synchronize, call, store what came of it."""
    key, life, ticket, memory_mib, host = (
        f"vm.v{number}",
        10_000 + number,
        100_000 + number,
        500 + number,
        number % HOSTS,
    )
    message = Message.model_construct(
        epoch=EPOCH, life=life, ticket=ticket, previous=0, seen=0, released=0, attempts=0, mark=None,
        operation="create", spec={"cpus": 1.0, "memory_mib": memory_mib}, deadline_s=None,
        reallocate=False, reason=None, trace=None, sent_s=now_s,
    )  # fmt: skip
    again = codec.message_of(codec.message_bytes(message))
    assert again is not None
    owner.on_message(key, again, now_s)
    placed = codec.event_of(PLACED % (key[3:].encode(), host, memory_mib))
    owner.on_fetched(key, life, placed, now_s)
    while owner.effects:
        effect = owner.effects.pop(0)
        if isinstance(effect, Synchronize):
            said = ANSWER % (b"ok", life, 0, memory_mib, host)
            owner.on_answer(key, effect.token, Answer.model_validate_json(said), now_s)
        elif isinstance(effect, Call):
            said = ANSWER % (b"applied", life, ticket, memory_mib, host)
            owner.on_answer(key, effect.token, Answer.model_validate_json(said), now_s)
        elif isinstance(effect, Append):
            owner.on_appended(effect.token, 1_000_000 + number, now_s)


async def first_completed_s(client: Client, name: str, body: bytes) -> float:
    """Seconds until a unit for this resource is completed."""
    begun_s = perf_counter()
    client.send(name, body, begun_s)
    await client.settled(quiet_s=180.0)
    return perf_counter() - begun_s


def megabytes(place: Site, owner: str, zone_owner: str) -> dict[str, float]:
    """Resident memory of the programs that hold something."""
    each = {name: size / 1e6 for name, size in place.resident_bytes(by_role=False).items()}
    return {
        "agent_mb": each[owner], "dispatcher_mb": each["orchestrator-1"],
        "zone_supervisor_mb": each[zone_owner], "nats_server_mb": each["nats-1"],
    }  # fmt: skip


async def one_size(count: int, found: Figures) -> None:
    async with site(Shape(agents=2, zone_supervisors=2)) as place:
        client = await Client.connect(place.urls[0], "zone-a")
        client.keep_latencies = False
        names = ids(count)
        await client.each(["first"], CREATE)
        owner, zone_owner = await owner_of(place, "a1"), await owner_of(place)
        empty = megabytes(place, owner, zone_owner)
        filled_s = await fill(place, names)
        read_s = await first_completed_s(client, "probe", CREATE)  # whoever answers this has read all that came before
        found.row("Resident memory, one pod", resources=count, state="none placed", **empty)
        found.row(
            "Resident memory, one pod", resources=count, state="all placed, idle", **megabytes(place, owner, zone_owner)
        )
        found.figure(f"size.agent_{count}_mb", megabytes(place, owner, zone_owner)["agent_mb"])
        place.programs[owner].kill()
        agent_s = await first_completed_s(client, names[0], CHANGE)
        owner = await owner_of(place, "a1")
        place.programs[zone_owner].kill()
        zone_s = await first_completed_s(client, "probe-2", CREATE)
        zone_owner = await owner_of(place)
        found.row(
            "Takeover, one pod", resources=count, filling_s=filled_s, catching_up_s=read_s,
            agent_killed_to_first_unit_s=agent_s, zone_supervisor_killed_to_first_create_s=zone_s,
        )  # fmt: skip
        seconds = await client.each(names, CHANGE)
        found.row(
            "Resident memory, one pod", resources=count, state="each used once since",
            **megabytes(place, owner, zone_owner),
        )  # fmt: skip
        found.row("Using each once", resources=count, seconds=seconds, per_s=count / seconds)
        client.check()
        client.close()


async def bench(size: Size, found: Figures) -> None:
    at_work = await asyncio.to_thread(row_bytes, rested=False)
    at_rest = await asyncio.to_thread(row_bytes, rested=True)
    table = "Memory of a row in use (the fold of a pod, counted by tracemalloc)"
    found.row(table, state="right after its unit", rows=ROWS, row_bytes=at_work)
    found.row(table, state=f"not used for {REST_S:g} s", rows=ROWS, row_bytes=at_rest)
    found.figure("size.row_bytes", at_rest)
    found.figure("size.row_at_work_bytes", at_work)
    for count in (2_000, 10_000) if size is Size.SHORT else (10_000, 100_000, 1_000_000):
        await one_size(count, found)


if __name__ == "__main__":
    main("size", __doc__, bench)
