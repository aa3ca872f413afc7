"""One trial: install, look, load, break, wait until everything is answered, judge."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nats.aio.client import Client
from tests.faults.load import Load, Receipt, connected, submit
from tests.faults.observer import Observer, until_quiet
from tests.faults.run import read_history, until_history, write_log
from tests.faults.verdict import judge_receipts
from tests.k8s.live import clients, jaeger
from tests.k8s.live.acts import KINDS, TIERS, Act, Acts
from tests.k8s.live.denials import denials
from tests.k8s.live.figures import cost_of
from tests.k8s.live.kubectl import Kubectl, KubectlError
from tests.k8s.live.report import Report
from tests.k8s.live.site import LOAD, OPERATOR, ZONE, Site, make_keys, site, treeward, watched

from treeward.bus.nats_bus import NatsBus
from treeward.runtime.judge import judge
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.telemetry import traceparent

READY_S = 600.0
SETTLE_S = 180.0
STUCK_S = 15.0
QUIET_S = 10.0
"""Of load before anything is broken: what the other figures are compared with."""
RELEASE_AFTER_S = 2.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be tried, and where things are."""

    folder: Path
    overlay: str
    topology: str
    images: tuple[str, ...]
    nats: str | None
    nats_image: str
    units_per_s: float
    seed: int
    rest_s: float
    power: tuple[str, str]
    only: tuple[str, ...]

    def asks(self, act: str) -> bool:
        """Whether this act is to be tried."""
        return not self.only or any(word in act for word in self.only)


async def run(wanted: Wanted, say: Say) -> Report:
    """All of it; raises what cannot be helped, with the installation left as it is."""
    kubectl = Kubectl()
    report = Report(seed=wanted.seed, version=await kubectl.text("version"))
    report.nodes = (await kubectl.text("get", "nodes", "--output", "wide", "--no-headers")).splitlines()
    await _install(kubectl, wanted, report, say)
    async with site(kubectl, wanted.folder / "keys") as here:
        await _define(here, wanted, report, say)
        bus = await here.bus(OPERATOR)
        client = await connected(here.urls, "operator", here.login(OPERATOR))
        try:
            if wanted.asks("clients"):
                await _clients(here, wanted, report, say)
            if wanted.asks("denials"):
                report.denials = await denials(here)
                say(f"{sum(row[-1] for row in report.denials)} of {len(report.denials)} forbidden things denied")
            load = Load(
                here.urls, [ZONE], wanted.units_per_s, wanted.seed, clients=3, vms=30, volumes=8,
                login=here.login(LOAD),
            )  # fmt: skip
            async with watched(bus) as observer, _loading(load, observer, client, report):
                await _break(here, wanted, load, observer, report, say)
            say("the load has ended")
            async with watched(bus) as observer:
                await _judge(here, wanted, load.receipts, bus, observer, report, say)
        finally:
            await client.close()
            await bus.close()
    return report


async def _install(kubectl: Kubectl, wanted: Wanted, report: Report, say: Say) -> None:
    make_keys(wanted.folder / "keys")
    begun_s = time.time()
    say(f"apply -k {wanted.overlay}")
    await kubectl.text("apply", "--kustomize", wanted.overlay)
    code, secrets = await treeward("credentials", "manifests", str(wanted.folder / "keys"), environment={})
    assert code == 0, secrets
    await kubectl.text("apply", "--filename", "-", stdin=secrets)
    report.ready_after_s = await kubectl.until_complete(timeout_s=READY_S)
    report.all_ready_after_s = time.time() - begun_s
    say(f"everything is ready after {report.all_ready_after_s:.1f} s")


async def _define(here: Site, wanted: Wanted, report: Report, say: Say) -> None:
    """Zone, pods and hosts; a second time nothing is submitted."""
    begun_s = time.time()
    code, printed = await treeward("apply", wanted.topology, environment=here.environment(OPERATOR))
    assert code == 0, printed
    report.defined_after_s = time.time() - begun_s
    code, again = await treeward("apply", wanted.topology, environment=here.environment(OPERATOR))
    assert code == 0, again
    say(f"the topology stands after {report.defined_after_s:.1f} s")
    report.memory_mib["idle"] = await here.memory_mib()


async def _clients(here: Site, wanted: Wanted, report: Report, say: Say) -> None:
    if wanted.nats:
        for body in (clients.CREATE, clients.DESTROY):
            report.clients.append(await clients.outside(here, wanted.nats, "outside", body))
    if wanted.nats_image:
        await clients.start_pod(here.kubectl, wanted.nats_image)
        for body in (clients.CREATE, clients.DESTROY):
            report.clients.append(await clients.inside(here, "inside", body))
    for one in report.clients:
        say(f"{one.where}: {one.printed} {one.trace}")


@asynccontextmanager
async def _loading(load: Load, observer: Observer, client: Client, report: Report) -> AsyncIterator[None]:
    """Clients at work, and an operator who releases what was quarantined, after a look at it."""

    async def release() -> None:
        released: set[tuple[str, str]] = set()
        while True:
            for address, at_s in list(observer.quarantined.items()):
                if time.monotonic() - at_s > RELEASE_AFTER_S and address not in released:
                    released.add(address)
                    report.released += 1
                    body = b'{"operation":"release","reason":"looked at"}'
                    await submit(client, *address, body, f"release-{report.seed}-{report.released}")
            released &= set(observer.quarantined)
            await asyncio.sleep(0.5)

    loading, releasing = asyncio.create_task(load.run()), asyncio.create_task(release())
    try:
        yield
        load.stopping.set()
        await loading
    finally:
        loading.cancel()
        releasing.cancel()
        await asyncio.gather(loading, releasing, return_exceptions=True)


async def _burden(observer: Observer, name: str, pod: str) -> int:
    """Branches and zones that a pod has in hand, as it says; of a NATS server, whether it leads the log."""
    if name == "nats":
        info = await observer.bus.streams.info(streams.log(ZONE)) or {}
        return int(info.get("cluster", {}).get("leader") == pod)
    return len(observer.held_by(pod)) + (len(observer.dispatched_by(pod)) if name == "orchestrator" else 0)


async def _break(here: Site, wanted: Wanted, load: Load, observer: Observer, report: Report, say: Say) -> None:
    look = partial(_explain_stuck, here, load, observer, report, say)
    acts = Acts(here.kubectl, partial(_burden, observer), look, say, wanted.rest_s)
    quiet = Act("nothing", "-", time.time())
    await asyncio.sleep(QUIET_S)
    quiet.until_s = time.time()
    try:
        for name in reversed(KINDS):
            if wanted.asks(f"delete {name}"):
                await acts.delete(name, at_once=False)
            if wanted.asks(f"kill {name}"):
                await acts.delete(name, at_once=True)
                if name == "pod-agent":
                    await _look_at_slowest(here, load, observer.bus, acts.done[-1], report, say)
        report.memory_mib["under load"] = await here.memory_mib()
        for number, image in enumerate(wanted.images):
            for name in TIERS:
                if wanted.asks(f"update {name}") and (name != "nats" or number == 0):
                    await acts.update(name, image)
        if wanted.asks("drain"):
            await acts.drain(await acts.node_to_lose())
        if wanted.asks("power") and wanted.power[0]:
            await acts.cut(await acts.node_to_lose(), *wanted.power)
    except KubectlError as error:
        report.problems.append(str(error))
        say(f"given up: {error}")
    report.acts = [quiet, *acts.done]


async def _explain_stuck(here: Site, load: Load, observer: Observer, report: Report, say: Say) -> None:
    """Ask about a unit that waits for long although everything is whole again."""
    long_ago_s = time.time() - STUCK_S
    stuck = [
        receipt
        for receipt in load.receipts
        if receipt.attempted_s < long_ago_s and receipt.ticket not in observer.answered[receipt.zone]
    ]
    if stuck:
        say(f"{len(stuck)} units wait for more than {STUCK_S:g} s")
    for receipt in sorted(stuck, key=lambda receipt: receipt.ticket)[:2]:
        _, told = await treeward("explain", f"{ZONE}:{receipt.ticket}", environment=here.environment(OPERATOR))
        report.stuck.append(f"{receipt}: {told}")
        say(report.stuck[-1])


async def _look_at_slowest(here: Site, load: Load, bus: NatsBus, act: Act, report: Report, say: Say) -> None:
    """The traces of units that were attempted just as an agent was killed: those with two lives, and no
    placement, tell the story."""
    state = await bus.state(streams.work(ZONE))
    assert state is not None
    struck = [receipt for receipt in load.receipts if act.at_s - 0.5 <= receipt.attempted_s < act.at_s + 2.0]
    for receipt in struck[:40]:
        trace_id, _ = traceparent.derive(ZONE, state.created_s, receipt.ticket)
        seen = await jaeger.trace(here.jaeger.port, trace_id)
        if seen is not None and len(seen.lives) > 1 and "zone-supervisor" not in seen.services:
            report.takeovers.append(seen)
            say(f"ticket {receipt.ticket} in Jaeger: {seen}")
        if len(report.takeovers) >= 3:
            return


async def _judge(
    here: Site, wanted: Wanted, receipts: list[Receipt], bus: NatsBus, observer: Observer, report: Report, say: Say
) -> None:
    begun_s = time.time()
    report.unanswered = await until_quiet(observer, SETTLE_S)
    report.settled_s = time.time() - begun_s
    say(f"settled after {report.settled_s:.1f} s: unanswered {report.unanswered}")
    await until_history(bus, [ZONE])
    history = await read_history(bus, [ZONE])
    books = await here.books(bus, [ZONE, ROOT])
    write_log(books, wanted.folder / "log.jsonl")
    report.judgement = judge(books)
    report.lost = judge_receipts(receipts, history)
    report.receipts = len(receipts)
    report.resubmitted = sum(receipt.attempts > 1 for receipt in receipts)
    report.costs = [cost_of(act, books, receipts) for act in report.acts]
