"""The short form of `make upgrade`: every service in turn from the previous version to this one, under load."""

from pathlib import Path

import pytest
from tests.faults.site import ROLES, Size
from tests.upgrade.run import run
from tests.upgrade.wheels import PREVIOUS, install, is_there

SIZE = Size(servers=1, orchestrators=1, zone_supervisors=1, agents=2, zones=1, pods=2, hosts=1)


@pytest.mark.skipif(not is_there(PREVIOUS), reason="a copy without its history has no previous version to begin with")
@pytest.mark.timeout(240)
async def test_units_are_neither_lost_nor_doubled_while_every_service_is_replaced_by_this_version(
    tmp_path: Path,
) -> None:
    old, new = install(PREVIOUS, tmp_path / "old"), install(None, tmp_path / "new")
    report = await run(tmp_path / "site", old, size=SIZE, rounds=[(new, ROLES)], units_per_s=30.0, rest_s=0.0)
    assert report.fine, report.text()
    assert set(report.outcomes_by_version) == {old.version, new.version}
