"""Two dispatchers for one zone for ever, one of them far behind: duplicates, which processes drop."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
from tests.faults import second_dispatcher
from tests.faults.load import Load
from tests.faults.scene import scene, until
from tests.faults.site import Size
from tests.support.scrape import scrape

from treeward.runtime.data_centre.child import Child
from treeward.telemetry import names

SIZE = Size(servers=1, orchestrators=1, zone_supervisors=1, agents=2, zones=1, pods=2, hosts=1)
BEHIND_UNITS = int(os.environ.get("FAULTS_BEHIND_UNITS", "300"))
"""How many units it sleeps through, twice; 6,000 are a minute at this load."""


@pytest.mark.timeout(600)
async def test_a_second_dispatcher_that_is_far_behind_changes_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, SIZE) as centre:
        environment = {
            **os.environ,
            "TREEWARD_NATS_URL": centre.site.servers.urls[0],
            "TREEWARD_ZONE": "zone-a",
            "TREEWARD_LOG_FORMAT": "json",
        }
        command = (sys.executable, "-P", second_dispatcher.__file__)
        second = Child("second-dispatcher", command, environment, centre.site.folder.logs / "second-dispatcher.log")
        second.start()

        async def sent() -> float:
            """How many mailbox messages the second has sent; 0: it does not listen yet."""
            shown = await asyncio.to_thread(scrape, second.log_path, f"{names.DISPATCH_SENT.name}_total", zone="zone-a")
            return shown or 0.0

        async def sends(since: float) -> bool:
            return await sent() > since

        load = Load(centre.site.servers.urls, ["zone-a"], 100.0, 5, clients=2)
        load.receipts = centre.receipts
        loading = asyncio.create_task(load.run())
        try:
            await until(lambda: sends(0.0), "the second dispatches")
            for _ in range(2):
                second.pause()
                asleep_at = len(load.receipts)
                behind_at = asleep_at + BEHIND_UNITS
                await until(
                    lambda: len(load.receipts) >= behind_at,  # noqa: B023
                    "units while it sleeps",
                    timeout_s=BEHIND_UNITS,  # a unit a second is patience enough
                )
                second.resume()
                awake_at, sent_asleep = len(load.receipts), await sent()
                await until(lambda: sends(sent_asleep), "the second dispatches again")  # noqa: B023
                await until(lambda: len(load.receipts) >= awake_at + 100, "units while both dispatch")  # noqa: B023
            load.stopping.set()
            await loading
            await centre.all_answered()
            assert second.process_id is not None, second.log_path.read_text()[-2000:]
            assert await centre.violations() == []
        finally:
            loading.cancel()
            second.kill()
