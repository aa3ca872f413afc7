"""How many calls a second does one device simulator answer, with every answer in its books before it is told?

Run: `.venv/bin/python bench/device.py [CALLS] [RESOURCES]`. One client, one connection; each resource has one call in
flight, as processes have: create and destroy of a VM in turn. Prints one line of JSON.
"""

import asyncio
import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import uvloop

from treeward.runtime.device_client import DeviceClient
from treeward.schemas.device import Answer, Status

JUDGES = (
    "order_violations", "life_violations", "doubled_effects", "overlapping_calls",
    "dangling", "unexplained_resources", "overcommitted",
)  # fmt: skip


class Load:
    def __init__(self, client: DeviceClient, calls: int) -> None:
        self.client, self.left, self.to_start, self.ticket = client, calls, calls, 1
        self.over = asyncio.get_running_loop().create_future()
        self.durations_s: list[float] = []

    def go(self, id_: str, exists: bool) -> None:
        if self.to_start == 0:
            return
        self.to_start -= 1
        self.ticket += 1
        began_s = time.perf_counter()

        def done(answer: Answer) -> None:
            assert answer.status is Status.APPLIED, answer
            self.durations_s.append(time.perf_counter() - began_s)
            self.left -= 1
            if self.left == 0:
                self.over.set_result(None)
            self.go(id_, not exists)

        self.client.request(
            {"verb": "call", "zone": "zone-a", "kind": "vm", "id": id_, "life": 7, "owner": "agent-1",
             "ticket": self.ticket, "operation": "destroy" if exists else "create",
             "spec": None if exists else {"cpus": 1}, "host": "host-1"},
            done,
        )  # fmt: skip


def start(data: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "treeward.device_simulator", "--data", str(data), "--listen", "tcp://127.0.0.1:0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


async def measure(calls: int, resources: int, folder: Path) -> dict[str, object]:
    data = folder / "device.sqlite"
    process = start(data)
    try:
        assert process.stdout is not None
        client = DeviceClient(json.loads(process.stdout.readline())["listen"])
        client.start()
        made = asyncio.get_running_loop().create_future()
        client.request(
            {"verb": "call", "zone": "zone-a", "kind": "host", "id": "host-1", "life": 1, "owner": "agent-1",
             "ticket": 1, "operation": "create", "spec": {"pod": "pod-1", "cpus": 1e6, "memory_mib": 2**39}},
            made.set_result,
        )  # fmt: skip
        await asyncio.wait_for(made, 10)
        load = Load(client, calls)
        began_s, own_s = time.perf_counter(), time.process_time()
        for number in range(resources):
            load.go(f"vm-{number}", exists=False)
        await asyncio.wait_for(load.over, 300)
        elapsed_s, own_s = time.perf_counter() - began_s, time.process_time() - own_s
        await client.close()
    finally:
        process.terminate()
        process.wait(30)
    device_s = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
    books = sqlite3.connect(data)
    found = {view: books.execute(f"SELECT count(*) FROM {view}").fetchone()[0] for view in JUDGES}
    load.durations_s.sort()
    return {
        "calls": calls, "resources": resources, "calls_per_s": round(calls / elapsed_s),
        "p50_ms": round(load.durations_s[calls // 2] * 1000, 2),
        "p99_ms": round(load.durations_s[calls * 99 // 100] * 1000, 2),
        "client_us_per_call": round(own_s / calls * 1e6, 1), "device_us_per_call": round(device_s / calls * 1e6, 1),
        "rows": books.execute("SELECT count(*) FROM calls").fetchone()[0],
        "violations": sum(found.values()),
        "cores": os.cpu_count(),
    }  # fmt: skip


def main() -> None:
    calls, resources = (int(text) for text in (*sys.argv[1:], *("40000", "1000")[len(sys.argv) - 1 :]))
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(uvloop.run(measure(calls, resources, Path(folder)))))


if __name__ == "__main__":
    main()
