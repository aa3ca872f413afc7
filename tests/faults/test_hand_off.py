"""SIGTERM to a pod agent with many active resources: nothing crashes, is lost or doubled, and the pause is told."""

import asyncio
import os
from collections import defaultdict
from itertools import pairwise
from pathlib import Path

import pytest
from tests.faults.recovery import percentiles
from tests.faults.scene import Scene, scene
from tests.faults.site import Size

from treeward.runtime.judge import Books
from treeward.schemas.events import EventType

SIZE = Size(servers=1, orchestrators=1, zone_supervisors=1, agents=2, zones=1, pods=1, hosts=4)
RESOURCES = int(os.environ.get("FAULTS_HAND_OFF_RESOURCES", "300"))
ROUNDS = 4


@pytest.mark.timeout(600)
async def test_a_planned_hand_off_crashes_loses_and_doubles_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, SIZE) as centre:
        keys = [f"vm.web-{number}" for number in range(RESOURCES)]
        spec = {"cpus": 0.01, "memory_mib": 16}
        await centre.answered(*await asyncio.gather(*[centre.ask(key, "create", spec=spec) for key in keys]))
        leaving = await centre.owner_of("zone-a.a1")
        old = centre.observer.instance_of(leaving)
        answered = centre.observer.outcomes
        cycles = [asyncio.create_task(_cycle(centre, key)) for key in keys]
        while centre.observer.outcomes < answered + RESOURCES:
            await asyncio.sleep(0.01)
        centre.site.ask_to_end(leaving, again=False)
        await asyncio.gather(*cycles)
        await centre.all_answered()
        assert centre.site.programs[leaving].exit_code == 0
        books = await centre.books()
        assert not [row for row in books.log if row.event.type is EventType.CRASHED]
        claims = [
            row.event.owner for row in books.log if row.event.type is EventType.CLAIMED and row.event.kind == "pod"
        ]
        assert len(claims) == 2 and claims[0] == old != claims[1]
        assert await centre.violations() == []
        _tell(books)


async def _cycle(centre: Scene, key: str) -> None:
    """One unit after the other, so that this resource always has one that is not answered."""
    for _ in range(ROUNDS):
        for operation in ("stop", "start"):
            await centre.answered(await centre.ask(key, operation))


def _tell(books: Books) -> None:
    """Pause of a resource: from its last outcome of the old owner to its first of the new."""
    taken_over = max(
        row.position for row in books.log if row.event.type is EventType.CLAIMED and row.event.kind == "pod"
    )
    outcomes: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for row in sorted(books.log, key=lambda row: row.position):
        if row.event.is_outcome and row.event.kind == "vm":
            outcomes[row.event.key].append((row.position, row.at_s))
    pauses: list[float] = []
    usual: list[float] = []
    for rows in outcomes.values():
        for (before, before_s), (after, after_s) in pairwise(rows[1:]):
            (pauses if before < taken_over < after else usual).append(after_s - before_s)
    for name, values in (("over the hand-off", pauses), ("else", usual)):
        found = percentiles(values)
        assert found is not None
        print(f"between two outcomes of a resource, {name}: p50 {found[0]:.3f} s, p99 {found[1]:.3f} s, {len(values)}")
