"""A NATS server whose disk is full: nothing that was accepted is lost, and all goes on once there is room.

Takes the right to mount: `FAULTS_DISK_MIB=256 pytest tests/faults/test_disk_full.py`.
"""

import os
from pathlib import Path

import pytest
from tests.faults.disk import Disk, NoMountError
from tests.faults.plan import Kind, sequence
from tests.faults.run import run
from tests.faults.site import Size

DISK_MIB = int(os.environ.get("FAULTS_DISK_MIB", "0"))


@pytest.mark.timeout(300)
@pytest.mark.skipif(not DISK_MIB, reason="needs the right to mount; FAULTS_DISK_MIB=256 runs it")
@pytest.mark.parametrize("servers", [1, 3])
async def test_a_full_disk_loses_nothing_and_all_goes_on_when_there_is_room(tmp_path: Path, servers: int) -> None:
    try:
        Disk(tmp_path / "trial", 1).close()
    except NoMountError as error:
        pytest.skip(f"no right to mount: {error}")
    size = Size(servers=servers, orchestrators=2, zone_supervisors=1, agents=2, zones=1, disk_mib=DISK_MIB)
    plan = sequence([Kind.DISK_FULL] * 2, seed=5, gap_s=25)
    report = await run(tmp_path / "run", plan, seed=5, size=size, units_per_s=50)
    assert [fault.target is not None for fault in report.injected] == [True, True], report.injected
    assert report.fine, (report.broken[:5], report.ended)
