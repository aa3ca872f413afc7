"""A small data centre for one story: started, watched, asked, and judged by its books at the end."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from nats.aio.client import Client
from tests.faults.load import Receipt, connected, submit
from tests.faults.observer import Observer, until_quiet
from tests.faults.run import read_history, until_history
from tests.faults.site import Site, Size
from tests.faults.verdict import judge_receipts
from tests.support import until as waiting

from treeward.bus.nats_bus import NatsBus
from treeward.runtime.books import query, read_books
from treeward.runtime.judge import Books, Violation, judge
from treeward.schemas import subjects
from treeward.schemas.device_control import Fault, FaultAdd, FaultClear

WAIT_S = 60.0
until = partial(waiting.until, timeout_s=WAIT_S)
"""A whole site on a busy machine has twice the patience of other tests."""


class Scene:
    """One site with an observer and a client."""

    def __init__(self, site: Site, observer: Observer, client: Client) -> None:
        self.site = site
        self.observer = observer
        self.client = client
        self.receipts: list[Receipt] = []

    async def ask(self, key: str, operation: str, *, zone: str = "zone-a", **fields: Any) -> int:
        """Submit a unit; returns its ticket."""
        body = json.dumps({"operation": operation, **fields}).encode()
        receipt = await submit(self.client, zone, key, body, f"scene-{len(self.receipts)}-{key}-{operation}")
        self.receipts.append(receipt)
        return receipt.ticket

    async def answered(self, *tickets: int, zone: str = "zone-a") -> None:
        """Wait until all have an outcome."""
        await until(lambda: set(tickets) <= self.observer.answered[zone], f"outcomes of {tickets}")

    async def all_answered(self) -> None:
        """Wait until nothing is unanswered."""
        left = await until_quiet(self.observer, WAIT_S)
        assert not any(left.values()), f"unanswered: {left}"

    async def explain(self, key: str, pod: str, *, zone: str = "zone-a") -> dict[str, Any]:
        """What the owner of a pod says of a resource; empty if nobody answers."""
        answer = await self.observer.bus.request(subjects.owner_api("explain", zone, pod), key.encode(), timeout_s=1.0)
        return dict(json.loads(answer or b"{}"))

    async def device(self, request: FaultAdd | FaultClear) -> None:
        """Ask the simulator for a fault, or to end all of them."""
        host, port = self.site.control.removeprefix("tcp://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(request.model_dump_json(exclude_none=True).encode() + b"\n")
        answer = json.loads(await reader.readline())
        writer.close()
        assert answer["status"] == "ok", answer

    async def fault(self, fault: Fault) -> None:
        """Let a device fault stand."""
        await self.device(FaultAdd(fault=fault))

    def calls(self, ticket: int) -> list[str]:
        """The outcomes of the calls of a ticket in the device's journal, in order."""
        rows = query(self.site.folder.device, "SELECT outcome FROM calls WHERE ticket = ? ORDER BY id", (ticket,))
        return [str(row[0]) for row in rows]

    async def owner_of(self, branch: str, *, other_than: str = "") -> str:
        """The program that says it owns a branch, once there is one."""

        def found() -> str | None:
            names = [name for name in self.site.programs if branch in self.observer.held_by(name)]
            return next((name for name in names if name != other_than), None)

        await until(found, f"an owner of {branch}")
        return str(found())

    async def books(self) -> Books:
        """All that was written down."""
        await until_history(self.observer.bus, self.site.zones)
        return await read_books(self.observer.bus, self.site.zones, [self.site.folder.device])

    async def violations(self) -> list[Violation]:
        """Every promise that was broken, those made to this client included."""
        books = await self.books()
        history = await read_history(self.observer.bus, self.site.zones)
        return [*judge(books).violations, *judge_receipts(self.receipts, history)]


@asynccontextmanager
async def scene(folder: Path, size: Size, *, python: str = sys.executable) -> AsyncIterator[Scene]:
    """A site that runs what an interpreter has, and is mended; everything has ended afterwards."""
    site = Site(folder, size, python=python)
    try:
        await site.start()
        bus = await NatsBus.connect(site.servers.urls, name="observer", timeout_s=30)
        client = await connected(site.servers.urls, "client")
        observer = Observer(bus, site.zones)
        await observer.start()
        mending = asyncio.create_task(site.mend())
        try:
            yield Scene(site, observer, client)
        finally:
            mending.cancel()
            await asyncio.gather(mending, return_exceptions=True)
            await observer.close()
            await client.close()
            await bus.close()
    finally:
        site.close()
