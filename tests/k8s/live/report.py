"""What a trial has found, for people and for machines."""

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.k8s.live.acts import Act
from tests.k8s.live.clients import Submitted
from tests.k8s.live.figures import Cost
from tests.k8s.live.jaeger import Trace

from treeward.runtime.judge import Judgement, Violation


@dataclass(slots=True)
class Report:
    """Filled as the trial goes on."""

    seed: int
    version: str
    nodes: list[str] = field(default_factory=list)
    ready_after_s: dict[str, float] = field(default_factory=dict)
    all_ready_after_s: float = 0.0
    defined_after_s: float = 0.0
    memory_mib: dict[str, dict[str, float]] = field(default_factory=dict)
    clients: list[Submitted] = field(default_factory=list)
    denials: list[tuple[str, str, str, bool]] = field(default_factory=list)
    acts: list[Act] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    takeovers: list[Trace] = field(default_factory=list)
    receipts: int = 0
    resubmitted: int = 0
    released: int = 0
    unanswered: dict[str, int] = field(default_factory=dict)
    settled_s: float = 0.0
    judgement: Judgement | None = None
    lost: list[Violation] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)
    """What was said of units that waited for long after everything was whole again."""
    problems: list[str] = field(default_factory=list)

    @property
    def fine(self) -> bool:
        """Whether every promise was kept and everything was tried."""
        judged = self.judgement is not None and not self.judgement.violations and not self.lost
        return judged and not self.problems and all(row[-1] for row in self.denials)

    def text(self) -> str:
        """For people."""
        lines = [self.version, *self.nodes, "", f"everything ready after {self.all_ready_after_s:.1f} s"]
        lines += [f"  {name:<40} {after_s:6.1f} s" for name, after_s in sorted(self.ready_after_s.items())]
        for when, pods in self.memory_mib.items():
            lines += ["", f"working set, {when}: {sum(pods.values()):.0f} MiB in all"]
            lines += [f"  {name:<45} {size:6.0f} MiB" for name, size in pods.items()]
        lines += ["", f"{sum(row[-1] for row in self.denials)} of {len(self.denials)} forbidden things denied"]
        lines += [f"  NOT DENIED {row}" for row in self.denials if not row[-1]]
        lines += ["", f"{'done':<62}{'whole':>7}{'units':>7}{'p50 s':>8}{'p99 s':>8}{'max s':>8}{'silent s':>9}"]
        for act, cost in zip(self.acts, self.costs, strict=False):
            figures = f"{cost.p50_s:8.3f}{cost.p99_s:8.3f}{cost.highest_s:8.3f}{cost.silent_s:9.2f}"
            lines.append(f"{cost.act:<62}{act.complete_after_s:7.1f}{cost.units:7}{figures}")
            lines += [f"    {name} {value:.1f}" for name, value in act.notes.items()]
        if self.judgement is not None:
            judged = self.judgement
            lines += ["", f"{judged.submitted} units, {self.receipts} receipts, {self.resubmitted} sent more than once"]
            lines += [f"outcomes {judged.outcomes}", f"{judged.calls} calls, {judged.effects} effects"]
            lines += [f"{judged.remembered} answered from memory, {judged.stale} stale requests refused by the device"]
            lines += [f"{len(judged.takeovers)} takeovers, {self.released} releases, settled in {self.settled_s:.1f} s"]
            lines += [f"{len(judged.violations) + len(self.lost)} violations; unanswered {self.unanswered}"]
            lines += [f"  {violation}" for violation in (*judged.violations, *self.lost)][:40]
        lines += [f"waited for long: {one}" for one in self.stuck]
        return "\n".join([*lines, *(f"PROBLEM {problem}" for problem in self.problems)])


def write(report: Report, path: Path) -> None:
    """The same as JSON, with what it was measured on."""
    described = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    machine = {"cpus": os.cpu_count(), "load": os.getloadavg(), "system": platform.platform()}
    found: dict[str, Any] = {"commit": described.stdout.strip(), "machine": machine, **asdict(report)}
    path.write_text(json.dumps(found, indent=1, default=str) + "\n")
