"""How long a resource waited after a kill, read from the books.

Measured on resources, from outside: a resource is affected if a unit of it was attempted before the kill, or within
half a second after it, and was not answered when the killed program died, and if the killed program was the one it
needed. Its recovery is the time from the kill to its next outcome in the log (the server's time stamps; all on one
machine). Who needed whom is known from the log and from what the program itself last said that it held:

- a pod agent: resources that were placed in its pods;
- a zone supervisor: addresses of its zones that were not placed;
- an orchestrator, also root's owner: resources of the zones that it dispatched for; of root's owner also root itself,
  until it is claimed again;
- NATS, a server or all of them: every resource. Only units attempted before the kill count for a single server, since
  those attempted after it may never have needed it.

Resources whose first unanswered unit waits for others (`after`), and those that are quarantined, are left out.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import quantiles

from tests.faults.inject import Injected
from tests.faults.load import Receipt
from tests.faults.plan import Kind

from treeward.runtime.judge import Books, Logged
from treeward.schemas.address import ROOT

AFFECTED_S = 0.5
BOUND_S = 60.0
"""Whoever waits longer was struck by something else as well; such are counted, never left out silently."""


def recoveries(injected: Sequence[Injected], books: Books, receipts: Sequence[Receipt]) -> dict[Kind, list[float]]:
    """For each kind that is measured: seconds, one for each affected resource of each fault."""
    reader = _Reader(books, receipts)
    found: dict[Kind, list[float]] = defaultdict(list)
    for fault in injected:
        if fault.planned.measured and fault.target is not None:
            fault.recovered_s = reader.after(fault)
            found[fault.planned.kind] += fault.recovered_s
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
        self._answered_s: dict[tuple[str, int], float] = {}
        for row in books.log:
            if row.event.is_outcome and row.event.ticket is not None:
                self._answered_s.setdefault((row.event.zone, row.event.ticket), row.at_s)
        self._receipts: Mapping[tuple[str, str], list[Receipt]] = defaultdict(list)
        for receipt in sorted(receipts, key=lambda receipt: receipt.ticket):
            self._receipts[receipt.zone, receipt.key].append(receipt)

    def after(self, fault: Injected) -> list[float]:
        """Seconds until the next outcome of each affected resource."""
        kill_s = fault.at_s
        if fault.planned.kind is Kind.KILL_ROOT_OWNER:
            root = self._times.get((ROOT, f"zone.{ROOT}"), [])
            claimed = root[bisect_right(root, kill_s) :]
            found = [min(claimed[0] - kill_s, BOUND_S) if claimed else BOUND_S]
        else:
            found = []
        window_s = 0.0 if fault.planned.kind is Kind.KILL_NATS_SERVER else AFFECTED_S
        for address, receipts in self._receipts.items():
            if not self._needs(address, fault):
                continue
            waiting = [
                receipt
                for receipt in receipts
                if receipt.attempted_s < kill_s + window_s
                and self._answered_s.get((receipt.zone, receipt.ticket), float("inf")) > kill_s
            ]
            if not waiting or b'"after"' in waiting[0].body or self._quarantined(address, kill_s):
                continue
            answered_s = self._answered_s.get((waiting[0].zone, waiting[0].ticket), kill_s + BOUND_S)
            found.append(min(answered_s - kill_s, BOUND_S))
        return found

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
