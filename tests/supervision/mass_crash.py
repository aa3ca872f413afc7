"""Every resource of one pod crashes at once, and its device is away for a while; another pod is watched meanwhile."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.stack import Stack, stack
from tests.support.until import until

from treeward.schemas.events import EventType
from treeward.schemas.topology import Topology, TopologyHost, TopologyPod, TopologyZone
from treeward.supervision.restart_line import EARLY_S

ZONE, POD, OTHER = "zone-a", "a1", "a2"
SMALL = {"cpus": 0.001, "memory_mib": 1}
PROBES = 50
SUBMITTING = 200


@dataclass(frozen=True, slots=True)
class Delays:
    """How long units of the other pod took from submit to outcome."""

    units: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class Figures:
    """What was seen.

    `restarts_max_per_s`: `ready` in the busiest second of the log, where those of a slower one before it may come
    together; `restarts_took_s` is from the first crash to the last of them.
    """

    resources: int
    crashed: int
    crash_took_s: float
    restarts: int
    restarts_max_per_s: int
    restarts_took_s: float
    budget_per_s: float
    all_ready_s: float
    """From the return of the device to the last completed unit."""
    quarantined: int
    failed: int
    completed: int
    violations: int
    other_before: Delays
    other_in_burst: Delays
    """While as many units of the pod as will crash are submitted at once, and nothing crashes."""
    other_during: Delays
    other_after: Delays

    @property
    def within_budget(self) -> bool:
        """Whether no more restarts were accepted than may have begun since the first crash."""
        return self.restarts <= self.budget_per_s * (self.restarts_took_s + EARLY_S) + 1

    def as_json(self) -> dict[str, Any]:
        """For the record."""
        return asdict(self)


class OtherPod:
    """A steady small load on the other pod, and how long each of its units takes."""

    def __init__(self, running: Stack, units_per_s: float) -> None:
        self._running = running
        self._pause_s = 1.0 / units_per_s
        self._submitted: dict[int, float] = {}

    async def run(self) -> None:
        """Submit until cancelled."""
        number = 0
        while True:
            number += 1
            operation = "stop" if (number // PROBES) % 2 == 0 else "start"
            at_s = time.time()
            ticket = await self._running.submit(f"{ZONE}.vm.other-{number % PROBES}", operation)
            self._submitted[ticket] = at_s
            await asyncio.sleep(self._pause_s)

    async def take(self) -> Delays:
        """Those submitted since the last time, once all of them are answered."""
        submitted, self._submitted = self._submitted, {}
        answers = self._running.answers
        await until(lambda: all((ZONE, ticket) in answers for ticket in submitted), "the other pod's units", 120.0)
        stored = {row.event.ticket: row.at_s for row in self._running.events if row.event.is_outcome}
        took_ms = sorted(1000.0 * (stored[ticket] - at_s) for ticket, at_s in submitted.items())
        count = len(took_ms)
        p50, p99 = took_ms[count // 2], took_ms[min(count - 1, count * 99 // 100)]
        return Delays(count, round(p50, 1), round(p99, 1), round(took_ms[-1], 1))


def topology() -> Topology:
    """One zone with two pods of one host each; labels tell which is which."""
    pods = {
        pod: TopologyPod(hosts={f"{pod}-h1": TopologyHost(cpus=1000, memory_mib=2**20, labels={"in": pod})})
        for pod in (POD, OTHER)
    }
    return Topology(zones={ZONE: TopologyZone(pods=pods)})


async def mass_crash(
    folder: Path,
    *,
    resources: int,
    away_s: float,
    restarts_per_s: float,
    calm_s: float = 10.0,
    probes_per_s: float = 20.0,
    say: Callable[[str], None] = lambda _: None,
) -> Figures:
    """Let it happen, wait until all is well, and tell the figures."""
    settings = {
        "TREEWARD_POD_RESTARTS_PER_S": f"{restarts_per_s:g}",
        "TREEWARD_CREDIT": str(max(4096, 2 * resources)),
        "TREEWARD_LOG_LEVEL": "error",
    }
    async with stack(folder, topology=topology(), settings=settings) as running:
        await _create(running, [f"vm-{number}" for number in range(resources)], POD)
        await _create(running, [f"other-{number}" for number in range(PROBES)], OTHER)
        say(f"{resources} resources in {POD}, {PROBES} in {OTHER}")
        other = OtherPod(running, probes_per_s)
        load = asyncio.create_task(other.run())
        await asyncio.sleep(calm_s)
        before = await other.take()
        say(f"{OTHER} before: {before}")

        names = [f"vm-{number}" for number in range(resources)]
        tickets = await _submit(running, names, "start")
        answers = running.answers
        await until(lambda: all((ZONE, ticket) in answers for ticket in tickets), "an outcome for each", 300.0)
        in_burst = await other.take()
        say(f"{OTHER} while {resources} units are submitted to {POD} at once: {in_burst}")

        running.add_fault(effect="fail", zone=ZONE, pod=POD)
        begun = len(running.events)
        begun_s = time.monotonic()
        tickets = await _submit(running, names, "stop")

        def crashed() -> set[str]:
            return {row.event.key for row in running.events[begun:] if row.event.type is EventType.CRASHED}

        await until(lambda: len(crashed()) == resources, "crash of every resource", 120.0)
        crash_took_s = time.monotonic() - begun_s
        running.add_fault(effect="unreachable", zone=ZONE, pod=POD)
        say(f"all {resources} have crashed within {crash_took_s:.1f} s; the device is away for {away_s:g} s")
        await asyncio.sleep(away_s)
        running.clear_faults()
        back_s = time.monotonic()
        during = await other.take()
        say(f"{OTHER} during: {during}")
        patience_s = 60.0 + 4 * resources / restarts_per_s
        await until(lambda: all((ZONE, ticket) in answers for ticket in tickets), "an outcome for each", patience_s)
        all_ready_s = time.monotonic() - back_s
        recovering = await other.take()
        say(f"all answered {all_ready_s:.1f} s after the device is back; {OTHER} meanwhile: {recovering}")
        await asyncio.sleep(calm_s)
        after = await other.take()
        load.cancel()
        worst = during if during.p99_ms >= recovering.p99_ms else recovering
        judged = await running.judge()
        seen = [row for row in running.events[begun:] if row.event.pod == POD and row.event.kind == "vm"]
        begun_anew = {row.position for row in seen if row.event.type is EventType.CRASHED}
        restarted = [row for row in seen if row.event.type is EventType.READY and row.event.life in begun_anew]
        lives = {(row.event.key, row.event.life): row.at_s for row in restarted}
        per_second = Counter(int(at_s) for at_s in lives.values())
        first_s = min(row.at_s for row in seen if row.event.type is EventType.CRASHED)
        outcomes = Counter(answers[ZONE, ticket][0].type for ticket in tickets)
        return Figures(
            resources, len(crashed()), round(crash_took_s, 1), len(lives), max(per_second.values()),
            round(max(lives.values()) - first_s, 2), restarts_per_s,
            round(all_ready_s, 1), sum(row.event.type is EventType.QUARANTINED for row in seen),
            outcomes[EventType.FAILED], outcomes[EventType.COMPLETED], len(judged.violations), before, in_burst,
            worst, after,
        )  # fmt: skip


async def _create(running: Stack, names: list[str], pod: str) -> None:
    tickets = await _submit(running, names, "create", SMALL | {"requires": {"in": pod}})
    answers = running.answers
    await until(lambda: all((ZONE, ticket) in answers for ticket in tickets), f"everything in {pod}", 300.0)
    assert {answers[ZONE, ticket][0].type for ticket in tickets} == {EventType.COMPLETED}


async def _submit(running: Stack, names: list[str], operation: str, spec: dict[str, Any] | None = None) -> list[int]:
    tickets: list[int] = []
    for first in range(0, len(names), SUBMITTING):
        some = names[first : first + SUBMITTING]
        tickets += await asyncio.gather(*(running.submit(f"{ZONE}.vm.{name}", operation, spec) for name in some))
    return tickets
