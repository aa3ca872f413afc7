"""All three NATS servers are killed at once, under load, and started again."""

from pathlib import Path

import pytest
from tests.faults.plan import Kind, sequence
from tests.faults.run import run
from tests.faults.site import Size

SIZE = Size(servers=3, orchestrators=2, zone_supervisors=1, agents=2, zones=1, pods=2, hosts=2)


@pytest.mark.timeout(300)
async def test_every_receipt_is_answered_once_after_all_of_nats_was_killed(tmp_path: Path) -> None:
    plan = sequence([Kind.KILL_NATS_CLUSTER], seed=3, gap_s=1.0)
    report = await run(tmp_path, plan, seed=3, size=SIZE, units_per_s=60, tail_s=4.0)
    assert report.receipts > 100
    assert report.fine, (report.broken[:5], report.ended)
