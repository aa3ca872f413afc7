"""How long a resource waited after a kill, read from the books.

Measured on resources, from outside: a resource is affected if a unit of it was attempted before the kill, or within
half a second after it, and was not answered when the killed program died, and if the killed program was the one it
needed. Its recovery is the time from the kill to the outcome of that unit (the server's time stamps; all on one
machine), if that is `completed`. If the unit ended otherwise, it takes until the next one of the resource that is
completed, less the time in which nobody had asked anything of it. Who needed whom is known from the log and from what
the program itself last said that it held:

- a pod agent: resources that were placed in its pods;
- a zone supervisor: addresses of its zones that were not placed;
- an orchestrator, also root's owner: resources of the zones that it dispatched for; of root's owner also root itself,
  until it is claimed again;
- NATS, a server or all of them: every resource. Only units attempted before the kill count for a single server, since
  those attempted after it may never have needed it.

Left out are resources whose first unanswered unit waits for others (`after`), and those that are quarantined. Left out
and counted are those of which no unit was completed within a minute though the first was answered, and, where a zone
supervisor or an orchestrator died, those whose unit the device had in a call by then: they need nobody but their agent.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import quantiles

from tests.faults.injected import Injected
from tests.faults.load import Receipt
from tests.faults.plan import Kind

from treeward.runtime.judge import Books, DeviceCall, Logged
from treeward.schemas.address import ROOT
from treeward.schemas.events import EventType

AFFECTED_S = 0.5
BOUND_S = 60.0
"""Whoever waits longer was struck by something else as well; such are counted, never left out silently."""
NEEDS_ITS_AGENT_ALONE = (Kind.KILL_ZONE_SUPERVISOR, Kind.KILL_ORCHESTRATOR, Kind.KILL_ROOT_OWNER)
"""Who dies here is not missed by a unit that is in a call."""
DECIDED = ("applied", "refused")
"""Outcomes of calls with which the device has no more to do for a unit."""


@dataclass(slots=True)
class Recovery:
    """What one fault, or all of a kind, cost the resources that were affected."""

    waited_s: list[float] = field(default_factory=list)
    """Of each resource, until a unit of it was completed; a minute, if its first was not answered in that time."""
    uncompleted: int = 0
    """Resources whose units were answered otherwise, without one that was completed within a minute."""
    at_device: int = 0
    """Resources whose unit was in a call at its device, and so did not need who died."""

    def add(self, other: "Recovery") -> None:
        """Count those of another one as well."""
        self.waited_s += other.waited_s
        self.uncompleted += other.uncompleted
        self.at_device += other.at_device


def recoveries(injected: Sequence[Injected], books: Books, receipts: Sequence[Receipt]) -> dict[Kind, Recovery]:
    """For each kind that is measured: what became of each affected resource of each fault."""
    reader = _Reader(books, receipts)
    found: dict[Kind, Recovery] = defaultdict(Recovery)
    for fault in injected:
        if fault.planned.measured and fault.target is not None:
            recovery = reader.after(fault)
            fault.recovered_s = recovery.waited_s
            found[fault.planned.kind].add(recovery)
    return dict(found)


def percentiles(values: Sequence[float]) -> tuple[float, float, float] | None:
    """p50, p99 and the highest; None of nothing."""
    if len(values) < 2:
        return (values[0], values[0], values[0]) if values else None
    cuts = quantiles(values, n=100, method="inclusive")
    return cuts[49], cuts[98], max(values)


class _Reader:
    """The books by resource."""

    def __init__(self, books: Books, receipts: Sequence[Receipt]) -> None:
        self._log: dict[tuple[str, str], list[Logged]] = defaultdict(list)
        for row in sorted(books.log, key=lambda row: row.position):
            self._log[row.event.zone, row.event.key].append(row)
        self._times = {address: [row.at_s for row in rows] for address, rows in self._log.items()}
        self._outcomes: dict[tuple[str, int], Logged] = {}
        for row in books.log:
            if row.event.is_outcome and row.event.ticket is not None:
                self._outcomes.setdefault((row.event.zone, row.event.ticket), row)
        self._calls: Mapping[tuple[str, int | None], list[DeviceCall]] = defaultdict(list)
        for call in books.calls:
            self._calls[call.zone, call.ticket].append(call)
        self._receipts: Mapping[tuple[str, str], list[Receipt]] = defaultdict(list)
        for receipt in sorted(receipts, key=lambda receipt: receipt.ticket):
            self._receipts[receipt.zone, receipt.key].append(receipt)

    def after(self, fault: Injected) -> Recovery:
        """What became of each affected resource."""
        kill_s, found = fault.at_s, Recovery()
        if fault.planned.kind is Kind.KILL_ROOT_OWNER:
            root = self._times.get((ROOT, f"zone.{ROOT}"), [])
            claimed = root[bisect_right(root, kill_s) :]
            found.waited_s.append(min(claimed[0] - kill_s, BOUND_S) if claimed else BOUND_S)
        window_s = 0.0 if fault.planned.kind is Kind.KILL_NATS_SERVER else AFFECTED_S
        for address, receipts in self._receipts.items():
            if not self._needs(address, fault):
                continue
            open_then = [receipt for receipt in receipts if self._answered_s(receipt) > kill_s]
            while open_then and open_then[0].attempted_s >= kill_s + window_s:
                del open_then[0]
            if not open_then:
                continue
            if b'"after"' in open_then[0].body or self._quarantined(address, kill_s):
                continue
            if fault.planned.kind in NEEDS_ITS_AGENT_ALONE and self._at_device(open_then[0], kill_s):
                found.at_device += 1
                continue
            waited_s = self._until_completed(open_then, kill_s)
            if waited_s is None:
                found.uncompleted += 1
            else:
                found.waited_s.append(waited_s)
        return found

    def _until_completed(self, receipts: Sequence[Receipt], kill_s: float) -> float | None:
        """For how long clients waited for these units of a resource until the first was completed."""
        if self._answered_s(receipts[0]) >= kill_s + BOUND_S:
            return BOUND_S
        waited_s, last_s = 0.0, kill_s
        for receipt in receipts:
            answered_s = self._answered_s(receipt)
            if answered_s >= kill_s + BOUND_S:
                return None
            waited_s += max(0.0, answered_s - max(last_s, receipt.attempted_s))
            last_s = max(last_s, answered_s)
            if self._outcomes[receipt.zone, receipt.ticket].event.type is EventType.COMPLETED:
                return waited_s
        return None

    def _answered_s(self, receipt: Receipt) -> float:
        row = self._outcomes.get((receipt.zone, receipt.ticket))
        return row.at_s if row is not None else float("inf")

    def _at_device(self, receipt: Receipt, at_s: float) -> bool:
        """Whether a call of it began before, and nobody but its agent has anything to do for it since."""
        return any(
            call.started_at <= at_s and (call.ended_at is None or call.ended_at > at_s or call.outcome in DECIDED)
            for call in self._calls[receipt.zone, receipt.ticket]
        )

    def _needs(self, address: tuple[str, str], fault: Injected) -> bool:
        zone, _ = address
        match fault.planned.kind:
            case Kind.KILL_POD_AGENT:
                pod = self._pod_at(address, fault.at_s)
                return pod is not None and f"{zone}.{pod}" in fault.held
            case Kind.KILL_ZONE_SUPERVISOR:
                return zone in fault.held and self._pod_at(address, fault.at_s) is None
            case Kind.KILL_ORCHESTRATOR | Kind.KILL_ROOT_OWNER:
                return zone in fault.dispatched
            case _:
                return True

    def _last(self, address: tuple[str, str], at_s: float) -> Logged | None:
        index = bisect_right(self._times.get(address, []), at_s)
        return self._log[address][index - 1] if index else None

    def _pod_at(self, address: tuple[str, str], at_s: float) -> str | None:
        row = self._last(address, at_s)
        return row.event.pod if row is not None else None

    def _quarantined(self, address: tuple[str, str], at_s: float) -> bool:
        row = self._last(address, at_s)
        return row is not None and row.event.quarantined
