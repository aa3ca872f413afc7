"""`treeward hand-off root` and `treeward drain INSTANCE`: what they say is done is in the logs, and nothing crashes."""

from pathlib import Path

import pytest
from tests.support.command import treeward
from tests.support.stack import Stack, stack

from treeward.cli.output import NO
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT
from treeward.schemas.events import Event

VM = "zone-a.vm.web-1"
pytestmark = pytest.mark.timeout(120)


async def claim_of_root(centre: Stack) -> Event:
    stored = await centre.bus.last(streams.log(ROOT), subjects.claim_of_zone(ROOT))
    assert stored is not None
    return Event.model_validate_json(stored.data)


async def test_root_is_handed_off_and_an_instance_drained_without_a_crash(tmp_path: Path) -> None:
    async with stack(tmp_path, orchestrators=2, pod_agents=2) as centre:
        created = await centre.submit(VM, "create")
        assert (await centre.wait_for_outcome("zone-a", created)).type == "completed"

        before = (await claim_of_root(centre)).owner
        said = await treeward("hand-off", "root", url=centre.url)
        claim = await claim_of_root(centre)
        assert said.out == f"root is claimed for {claim.owner}\n"
        assert claim.owner != before
        assert claim.reason == f"handed off by {before}"

        owner = centre.owner_of("zone-a", "a1")
        (claimed,) = centre.events_of("zone-a.pod.a1", "claimed")
        assert claimed.owner is not None
        said = await treeward("drain", claimed.owner, url=centre.url)
        assert said.out == f"{claimed.owner} finishes what is in hand, is succeeded, and ends\n"
        await centre.until(lambda: centre.centre.programs[owner].exit_code == 0, "it ends by itself")
        assert centre.owner_of("zone-a", "a1") not in (owner, "")

        assert before is not None
        await treeward("drain", before, url=centre.url)
        await centre.until(lambda: centre.centre.programs[before.rpartition("-")[0]].exit_code == 0, "it ends too")
        said = await treeward("hand-off", "root", url=centre.url, code=NO)
        assert (said.out, said.err.count("there is no other orchestrator to hand root off to")) == ("", 1)
        assert await claim_of_root(centre) == claim

        stopped = await centre.submit(VM, "stop")
        assert (await centre.wait_for_outcome("zone-a", stopped)).type == "completed"
        assert centre.events_of(VM, "crashed") == []
        assert (await centre.judge()).violations == []
