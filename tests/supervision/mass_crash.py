"""Every resource of one pod crashes at once, and its device is away for a while; another pod is watched meanwhile.

All that costs the machine something of itself comes before what is measured: units of all resources are submitted and
called, and hang at the device. Then the device breaks all of them off at once and is away. The same is done once before
with a device that stays: the calls end well at once. What the other pod notices there is not due to the crash.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.stack import Stack, stack
from tests.support.until import until

from treeward.cli.device_control import ask
from treeward.runtime.judge import Logged
from treeward.schemas.device_control import Statistics
from treeward.schemas.events import EventType
from treeward.schemas.topology import Topology, TopologyHost, TopologyPod, TopologyZone
from treeward.supervision.restart_line import EARLY_S

ZONE, POD, OTHER = "zone-a", "a1", "a2"
SMALL = {"cpus": 0.001, "memory_mib": 1}
PROBES = 50
SUBMITTING = 200
STANDSTILL_S = 60.0
"""Waiting goes on as long as more becomes done within this time: a slow machine is no standstill."""


@dataclass(frozen=True, slots=True)
class Delays:
    """How long units of the other pod took from submit to outcome."""

    units: int
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class OtherDelays:
    """Those of the other pod, phase by phase. None: the phase was over before a unit was submitted in it."""

    before: Delays | None
    submitting: Delays | None
    """While a unit of every resource of the pod is submitted, and comes to hang at its device."""
    ending_well: Delays | None
    """All of them end at once, and well; for as long as the device is away later on."""
    submitting_again: Delays | None
    held: Delays | None
    """All calls hang at the device, and nothing else happens."""
    crashing: Delays | None
    """From the moment when the device breaks all of them off until all crashes are in the log."""
    away: Delays | None
    """After that, while the device is away."""
    restarting: Delays | None
    after: Delays | None


@dataclass(frozen=True, slots=True)
class Figures:
    """What was seen.

    `restarts_max_per_s`: `ready` in the busiest second of the log, where those of a slower one before it may come
    together; `restarts_took_s` is from the first crash to the last of them.
    """

    resources: int
    crashed: int
    crash_took_s: float
    """From the first to the last crash, by the log."""
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
    other: OtherDelays

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
        self._answered: dict[int, float] = {}
        """Outcomes that were read, some of them before the receipt of their unit was here."""
        self._read = 0

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

    async def take(self) -> Delays | None:
        """Those submitted since the last time, once all of them are answered; None: there were none."""
        submitted, self._submitted = self._submitted, {}
        answers = self._running.answers
        await until(lambda: all((ZONE, ticket) in answers for ticket in submitted), "the other pod's units", 120.0)
        for row in self._running.events[self._read :]:
            if row.event.is_outcome and row.event.pod == OTHER and row.event.ticket is not None:
                self._answered[row.event.ticket] = row.at_s
        self._read = len(self._running.events)
        if not submitted:
            return None
        took_ms = sorted(1000.0 * (self._answered.pop(ticket) - at_s) for ticket, at_s in submitted.items())
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
        "TREEWARD_CALL_TIMEOUT_S": "3600",  # that a call hangs is our doing
        "TREEWARD_LOG_LEVEL": "error",
    }
    async with stack(folder, topology=topology(), settings=settings) as running:
        names = [f"vm-{number}" for number in range(resources)]
        await _create(running, names, POD)
        await _create(running, [f"other-{number}" for number in range(PROBES)], OTHER)
        say(f"{resources} resources in {POD}, {PROBES} in {OTHER}")
        other = OtherPod(running, probes_per_s)
        load = asyncio.create_task(other.run())

        async def watched(what: str, for_s: float = 0.0) -> Delays | None:
            await asyncio.sleep(for_s)
            delays = await other.take()
            say(f"{OTHER} {what}: {delays}")
            return delays

        before = await watched("before", calm_s)
        tickets, hang = await _let_hang(running, names, "stop")
        submitting = await watched(f"while {resources} units are submitted to {POD}")
        await asyncio.to_thread(running.clear_faults, hang)
        await asyncio.sleep(away_s)
        await _all_answered(running, tickets)
        ending_well = await watched("while they end at once, and well")
        tickets, hang = await _let_hang(running, names, "start")
        submitting_again = await watched(f"while {resources} units are submitted to {POD} again")
        held = await watched("while all of them hang", calm_s)

        begun = len(running.events)
        await asyncio.to_thread(running.add_fault, effect="unreachable", zone=ZONE, pod=POD)
        await asyncio.to_thread(running.clear_faults, hang)
        gone_s = time.monotonic()
        crashed = Keys(running.events, begun, EventType.CRASHED)
        await _grown(lambda: len(crashed.read()), resources, "crash of every resource")
        crashing = await watched(f"until all {resources} have crashed, {time.monotonic() - gone_s:.1f} s")
        away = await watched("while the device is away", max(1.0, away_s - (time.monotonic() - gone_s)))
        await asyncio.to_thread(running.clear_faults)
        back_s = time.monotonic()
        await _all_answered(running, tickets)
        all_ready_s = time.monotonic() - back_s
        restarting = await watched(f"until all were answered, {all_ready_s:.1f} s after the device was back")
        after = await watched("afterwards", calm_s)
        load.cancel()
        judged = await running.judge()
        seen = [row for row in running.events[begun:] if row.event.pod == POD and row.event.kind == "vm"]
        crashes = {row.position: row.at_s for row in seen if row.event.type is EventType.CRASHED}
        restarted = [row for row in seen if row.event.type is EventType.READY and row.event.life in crashes]
        lives = {(row.event.key, row.event.life): row.at_s for row in restarted}
        first_s = min(crashes.values())
        outcomes = Counter(running.answers[ZONE, ticket][0].type for ticket in tickets)
        return Figures(
            resources=resources,
            crashed=len(crashed.read()),
            crash_took_s=round(max(crashes.values()) - first_s, 2),
            restarts=len(lives),
            restarts_max_per_s=max(Counter(int(at_s) for at_s in lives.values()).values()),
            restarts_took_s=round(max(lives.values()) - first_s, 2),
            budget_per_s=restarts_per_s,
            all_ready_s=round(all_ready_s, 1),
            quarantined=sum(row.event.type is EventType.QUARANTINED for row in seen),
            failed=outcomes[EventType.FAILED],
            completed=outcomes[EventType.COMPLETED],
            violations=len(judged.violations),
            other=OtherDelays(
                before, submitting, ending_well, submitting_again, held, crashing, away, restarting, after
            ),
        )  # fmt: skip


class Keys:
    """Which resources of the pod have had an event of one type; each event is looked at once."""

    def __init__(self, events: Sequence[Logged], begin: int, type_: EventType) -> None:
        self._events = events
        self._next = begin
        self._type = type_
        self._keys: set[str] = set()

    def read(self) -> set[str]:
        """All so far."""
        for index in range(self._next, len(self._events)):
            event = self._events[index].event
            if event.type is self._type and event.pod == POD:
                self._keys.add(event.key)
        self._next = len(self._events)
        return self._keys


async def _grown(count: Callable[[], int], wanted: int, what: str) -> None:
    """Wait until so many are done; fails when none is added for `STANDSTILL_S`."""
    done = count()
    while done < wanted:
        before = done
        done = await until(lambda: now if (now := count()) > before else 0, f"{what}: {done} of {wanted}", STANDSTILL_S)  # noqa: B023


async def _all_answered(running: Stack, tickets: Sequence[int]) -> None:
    waiting = set(tickets)

    def answered() -> int:
        waiting.difference_update([ticket for ticket in waiting if (ZONE, ticket) in running.answers])
        return len(tickets) - len(waiting)

    await _grown(answered, len(tickets), "an outcome for each")


async def _let_hang(running: Stack, names: Sequence[str], operation: str) -> tuple[list[int], int]:
    """Submit one unit for each and wait until the device has all of them; returns the tickets and what holds them."""
    hang = await asyncio.to_thread(running.add_fault, effect="hang", zone=ZONE, pod=POD)
    tickets = await _submit(running, names, operation)
    in_hand = 0
    while in_hand < len(names):
        before = in_hand

        async def more(before: int = before) -> int:
            said = await asyncio.to_thread(ask, running.centre.control, Statistics())
            at_device = int((said.statistics or {})["in_progress"])
            await asyncio.sleep(0.1)
            return at_device if at_device > before else 0

        in_hand = await until(more, f"every call at the device: {before} of {len(names)}", STANDSTILL_S)
    return tickets, hang


async def _create(running: Stack, names: Sequence[str], pod: str) -> None:
    tickets = await _submit(running, names, "create", SMALL | {"requires": {"in": pod}})
    await _all_answered(running, tickets)
    assert {running.answers[ZONE, ticket][0].type for ticket in tickets} == {EventType.COMPLETED}


async def _submit(
    running: Stack, names: Sequence[str], operation: str, spec: dict[str, Any] | None = None
) -> list[int]:
    tickets: list[int] = []
    for first in range(0, len(names), SUBMITTING):
        some = names[first : first + SUBMITTING]
        tickets += await asyncio.gather(*(running.submit(f"{ZONE}.vm.{name}", operation, spec) for name in some))
    return tickets
