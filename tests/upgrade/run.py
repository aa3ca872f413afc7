"""One run: a data centre of the old version, replaced program by program under load, as often as asked for."""

import asyncio
import json
import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import time

from tests.faults.load import Load
from tests.faults.orders import Orders
from tests.faults.scene import Scene, scene, until
from tests.faults.site import ROLES, Size
from tests.k8s.live.acts import Act
from tests.k8s.live.figures import Cost, cost_of
from tests.upgrade.wheels import Installed

from treeward.runtime.data_centre.layout import SIMULATOR, service_of
from treeward.runtime.judge import Judgement, Violation, judge
from treeward.schemas.address import ROOT

UPWARDS = (SIMULATOR, *ROLES)
"""Devices first, then from the leaves of the tree to its root: new agents below old supervisors."""
DOWNWARDS = tuple(reversed(UPWARDS))
"""New supervisors above old agents."""
COMMAND_S = 60.0


@dataclass(slots=True)
class Report:
    """What came of a run."""

    acts: list[Act] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    commands: int = 0
    """How many times the command of one version was used on programs of both."""
    outcomes_by_version: Counter[str] = field(default_factory=Counter)
    """Outcomes of resources in pods, by the version of the agent that appended them."""
    judgement: Judgement | None = None
    receipts: int = 0
    released: int = 0
    violations: list[Violation] = field(default_factory=list)
    ended: list[tuple[float, str, int]] = field(default_factory=list)
    """Programs that ended by themselves, which none should."""

    @property
    def fine(self) -> bool:
        """Whether every promise was kept, no program ended by itself, and agents of both versions were at work."""
        judged = self.judgement is not None and not self.violations and not self.ended
        return judged and len(self.outcomes_by_version) == 2

    def text(self) -> str:
        """For people."""
        lines = [f"{'replaced':<46}{'took s':>8}{'units':>7}{'p50 s':>8}{'p99 s':>8}{'max s':>8}{'silent s':>9}"]
        for act, cost in zip(self.acts, self.costs, strict=True):
            figures = f"{cost.p50_s:8.3f}{cost.p99_s:8.3f}{cost.highest_s:8.3f}{cost.silent_s:9.2f}"
            lines.append(f"{cost.act:<46}{act.complete_after_s:8.1f}{cost.units:7}{figures}")
        if self.judgement is not None:
            judged = self.judgement
            lines += ["", f"{judged.submitted} units, {self.receipts} receipts, outcomes {judged.outcomes}"]
            lines += [f"{judged.calls} calls, {judged.effects} effects, {judged.remembered} answered from memory"]
            lines += [f"{len(judged.takeovers)} claims of a branch for another, {self.released} releases"]
        lines += [f"outcomes by the agent's version: {dict(self.outcomes_by_version)}"]
        lines += [f"{self.commands} commands of either version, all with exit code 0"]
        lines += [f"{len(self.violations)} violations; {len(self.ended)} programs ended by themselves"]
        return "\n".join([*lines, *(f"  {one}" for one in (*self.violations, *self.ended))])


class Upgrade:
    """Replaces the programs of a scene."""

    def __init__(self, centre: Scene, rest_s: float) -> None:
        self._centre = centre
        self._rest_s = rest_s
        self.report = Report()
        self.agents: dict[str, str] = {}
        """Instance > version, of every agent that was ever heard."""

    async def everything(self, wanted: Installed, order: Sequence[str]) -> None:
        """Replace tier by tier, and within a tier one program after the other."""
        for service in order:
            names = self._centre.site.of(service)
            act = Act(service, wanted.version, time())
            for name in names:
                await self._replace(name, wanted)
            act.complete_after_s = time() - act.at_s
            await asyncio.sleep(self._rest_s)
            act.until_s = time()
            self.report.acts.append(act)

    async def use(self, *commands: Installed) -> None:
        """Create and destroy something with the command of each version, and look at it."""
        for one in commands:
            self.report.commands += 1
            address = f"zone-a.vm.by-command-{self.report.commands}"
            spec = '{"cpus": 0.01, "memory_mib": 16}'
            for words in (
                ("submit", address, "create", "--spec", spec, "--wait"), ("state", address), ("tree",),
                ("explain", address), ("submit", address, "destroy", "--wait"),
            ):  # fmt: skip
                await self._command(one, *words)

    def hear(self) -> None:
        """Write down which version each agent is."""
        for name, (_, heartbeat) in self._centre.observer.heartbeats.items():
            if heartbeat.service == "pod-agent":
                self.agents[name] = heartbeat.version

    async def judged(self, load: Load, released: int) -> Report:
        """The report, once everything is answered."""
        report, centre = self.report, self._centre
        self.hear()
        books = await centre.books()
        report.judgement = judge(books)
        report.violations = await centre.violations()
        report.ended = centre.site.ended
        report.receipts, report.released = len(load.receipts), released
        report.costs = [cost_of(act, books, load.receipts) for act in report.acts]
        owner: dict[tuple[str, str], str | None] = {}
        for row in sorted(books.log, key=lambda row: row.position):
            event = row.event
            if event.type == "claimed":
                owner[event.zone, event.id] = event.owner
            elif event.is_outcome and event.pod is not None:
                version = self.agents.get(owner.get((event.zone, event.pod)) or "", "unknown")
                report.outcomes_by_version[version] += 1
        return report

    async def _replace(self, name: str, wanted: Installed) -> None:
        site, observer = self._centre.site, self._centre.observer
        site.ask_to_end(name, again=False)
        await until(lambda: site.programs[name].process_id is None, f"{name} has ended")
        assert site.programs[name].exit_code == 0, site.programs[name].log_path.read_text()[-2000:]
        site.install(name, wanted.python)
        site.rest(name, 0.0)
        await until(lambda: site.runs(name), f"{name} runs again")
        if service_of(name) == SIMULATOR:
            return

        def present() -> bool:
            alive = observer.alive(service_of(name)).values()
            return any(one.name == name and one.version == wanted.version and not one.leaving for one in alive)

        await until(present, f"{name} in version {wanted.version}")
        await until(self.all_owned, "an owner of every branch")
        self.hear()

    def all_owned(self) -> bool:
        topology = self._centre.site.topology
        branches = {f"{zone}.{pod}" for zone, one in topology.zones.items() for pod in one.pods}
        held = {branch for name in self._centre.site.programs for branch in self._centre.observer.held_by(name)}
        return held >= {ROOT, *topology.zones, *branches}

    async def _command(self, one: Installed, *words: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("TREEWARD_", "OTEL_"))}
        environment["TREEWARD_NATS_URL"] = self._centre.site.servers.urls[0]
        done = await asyncio.to_thread(
            subprocess.run, [one.treeward, *words], env=environment, capture_output=True, text=True, check=False,
            timeout=COMMAND_S,
        )  # fmt: skip
        assert done.returncode == 0, f"{one.version}: {' '.join(words)}: {done.stdout}{done.stderr}"


async def run(
    folder: Path,
    old: Installed,
    *,
    size: Size,
    rounds: Sequence[tuple[Installed, Sequence[str]]],
    units_per_s: float,
    rest_s: float,
    seed: int = 1,
    commands: Sequence[Installed] = (),
) -> Report:
    """Everything begins as `old`; each round replaces everything in an order of services. Raises AssertionError.

    Before, after, and halfway through each round, the commands of these versions are used.
    """
    async with scene(folder, size, python=old.python) as centre:
        upgrade = Upgrade(centre, rest_s)
        await until(upgrade.all_owned, "an owner of every branch")
        await upgrade.use(*commands)
        load = Load(centre.site.servers.urls, centre.site.zones, units_per_s, seed)
        load.receipts = centre.receipts
        orders = Orders(centre.site, centre.observer, centre.client, load.receipts, seed)
        working = asyncio.create_task(load.run())
        releasing = asyncio.create_task(orders.release_for_ever())
        try:
            for wanted, order in rounds:
                half = len(order) // 2
                await upgrade.everything(wanted, order[:half])
                await upgrade.use(*commands)
                await upgrade.everything(wanted, order[half:])
                await upgrade.use(*commands)
            load.stopping.set()
            await working
            await centre.all_answered()
            return await upgrade.judged(load, orders.released)
        finally:
            for task in (working, releasing):
                task.cancel()
            await asyncio.gather(working, releasing, return_exceptions=True)


def as_json(report: Report) -> str:
    """The figures for machines."""
    assert report.judgement is not None
    found = {
        "load": os.getloadavg(),
        "steps": [
            cost._asdict() | {"took_s": act.complete_after_s}
            for act, cost in zip(report.acts, report.costs, strict=True)
        ],
        "units": report.judgement.submitted,
        "receipts": report.receipts,
        "outcomes": report.judgement.outcomes,
        "outcomes_by_version": report.outcomes_by_version,
        "violations": [str(one) for one in report.violations],
        "ended": report.ended,
    }
    return json.dumps(found, indent=1)
