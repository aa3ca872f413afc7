"""A pod that no instance can take: its zone supervisor acts for it, until there is an agent again."""

from pathlib import Path

from tests.support.stack import stack


async def test_a_pod_that_no_agent_can_take_is_served_by_its_zone_supervisor_until_one_can(tmp_path: Path) -> None:
    async with stack(tmp_path, zones=1, pods=1, hosts=1, pod_agents=1, orchestrators=1, zone_supervisors=1) as centre:
        first = await centre.submit("zone-a.vm.web-1", "create")
        assert (await centre.wait_for_outcome("zone-a", first)).type == "completed"

        centre.kill("pod-agent-1")
        while_orphaned = await centre.submit("zone-a.vm.web-1", "stop")
        outcome = await centre.wait_for_outcome("zone-a", while_orphaned, timeout_s=40.0)
        assert outcome.type == "completed"
        assert centre.owner_of("zone-a", "a1") == "zone-supervisor-1"

        centre.start("pod-agent-1")
        await centre.until(lambda: centre.owner_of("zone-a", "a1") == "pod-agent-1", "the agent owns the pod again")
        last = await centre.submit("zone-a.vm.web-1", "destroy")
        assert (await centre.wait_for_outcome("zone-a", last)).type == "completed"
        assert (await centre.judge()).violations == []
