"""What the alerts are about is in the metrics of real programs when it happens."""

from pathlib import Path

from tests.support import scrape as metrics
from tests.support.stack import Stack, stack
from tests.support.until import until

from treeward.telemetry import names


def scrape(centre: Stack, program: str, name: str, **labels: str) -> float | None:
    """One sample of a program that runs; None: it shows none."""
    return metrics.scrape(centre.centre.folder.logs / f"{program}.log", name, **labels)


async def test_a_unit_in_doubt_and_a_pod_without_owner_are_shown(tmp_path: Path) -> None:
    async with stack(tmp_path) as centre:
        pod = {"zone": "zone-a", "pod": "a1"}

        def owned() -> float | None:
            return scrape(centre, "zone-supervisor-1", names.BRANCH_OWNED.name, **pod)

        def in_doubt() -> float | None:
            return scrape(centre, "pod-agent-1", names.UNITS_IN_DOUBT.name, **pod)

        await until(lambda: owned() == 1.0, "the pod shown as owned")
        await until(
            lambda: scrape(centre, "orchestrator-1", names.BRANCH_OWNED.name, zone="zone-a", pod="zone") == 1.0,
            "the zone shown as owned",
        )
        assert in_doubt() == 0.0
        await centre.wait_for_outcome("zone-a", await centre.submit("zone-a.vm.web-1", "create"))
        centre.add_fault(effect="hang", kind="vm", id="web-1", operation="stop")
        ticket = await centre.submit("zone-a.vm.web-1", "stop")
        await until(lambda: in_doubt() == 1.0, "a unit in doubt")
        assert (scrape(centre, "pod-agent-1", names.OLDEST_IN_DOUBT.name, **pod) or 0.0) > 0.0
        centre.clear_faults()
        assert (await centre.wait_for_outcome("zone-a", ticket)).type == "completed"
        await until(lambda: in_doubt() == 0.0, "no doubt any more")
        centre.kill("pod-agent-1")
        await until(lambda: owned() == 0.0, "the pod shown as not owned")
        centre.start("pod-agent-1")
        await until(lambda: owned() == 1.0, "the pod owned again")
        for program in ("orchestrator-1", "zone-supervisor-1", "pod-agent-1"):
            assert scrape(centre, program, names.JETSTREAM_SILENCE.name) == 0.0
