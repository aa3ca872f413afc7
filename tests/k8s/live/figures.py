"""What an act cost those who work, read from receipts and logs: how long units waited that were asked meanwhile."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from tests.faults.load import Receipt
from tests.faults.recovery import percentiles
from tests.k8s.live.acts import Act

from treeward.runtime.judge import Books

BEFORE_S = 0.5
"""Units attempted so shortly before an act are struck by it as well."""


class Cost(NamedTuple):
    """Of the units attempted from an act to the next one; seconds from the first attempt to the outcome in the log."""

    act: str
    units: int
    p50_s: float
    p99_s: float
    highest_s: float
    silent_s: float
    """The longest time in which nothing at all was answered."""


def cost_of(act: Act, books: Books, receipts: Sequence[Receipt]) -> Cost:
    """The cost of one act. Units that wait for others (`after`) are left out: they wait anyway."""
    begin_s, end_s = act.at_s - BEFORE_S, act.until_s
    outcomes = [row for row in books.log if row.event.is_outcome and row.event.ticket is not None]
    answered_s = {(row.event.zone, row.event.ticket): row.at_s for row in outcomes}
    waited = [
        answered_s[receipt.zone, receipt.ticket] - receipt.attempted_s
        for receipt in receipts
        if begin_s <= receipt.attempted_s < end_s
        and b'"after"' not in receipt.body
        and (receipt.zone, receipt.ticket) in answered_s
    ]
    times = sorted(row.at_s for row in outcomes if begin_s <= row.at_s < end_s)
    edges = [begin_s, *times, end_s]
    silent_s = max(later - sooner for sooner, later in pairwise(edges))
    p50_s, p99_s, highest_s = percentiles(waited) or (0.0, 0.0, 0.0)
    return Cost(f"{act.name} ({act.target})", len(waited), p50_s, p99_s, highest_s, silent_s)
