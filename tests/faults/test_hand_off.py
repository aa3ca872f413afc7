"""SIGTERM to a pod agent with many active resources: nothing crashes, is lost or doubled, and the pause is told."""

import asyncio
import os
import time
from pathlib import Path
from random import Random

import pytest
from tests.faults.recovery import percentiles
from tests.faults.scene import Scene, scene, until
from tests.faults.site import Size

from treeward.runtime.judge import Books
from treeward.schemas.events import EventType

SIZE = Size(servers=1, orchestrators=1, zone_supervisors=1, agents=2, zones=1, pods=1, hosts=4)
RESOURCES = int(os.environ.get("FAULTS_HAND_OFF_RESOURCES", "300"))
UNITS_PER_S = float(os.environ.get("FAULTS_HAND_OFF_UNITS_PER_S", "0"))
"""In all; 0: every resource always has a unit that is not answered, as many as the machine can do."""
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
        cycles = [asyncio.create_task(_cycle(centre, key, Random(key))) for key in keys]
        await until(lambda: centre.observer.outcomes >= answered + RESOURCES, "a round of outcomes")
        asked_s = time.time()
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
        _tell(centre, books, asked_s)


async def _cycle(centre: Scene, key: str, chance: Random) -> None:
    """One unit after the other, with a pause between two if the load is to be held."""
    for _ in range(ROUNDS):
        for operation in ("stop", "start"):
            # The load is so many units a second: a client's own pause, and no wait for an effect.
            await asyncio.sleep(chance.uniform(0, 2 * RESOURCES / UNITS_PER_S) if UNITS_PER_S else 0)
            await centre.answered(await centre.ask(key, operation))


def _tell(centre: Scene, books: Books, asked_s: float) -> None:
    """How long clients waited for units that were open at the hand-off, and for the others."""
    claimed = max(
        (row for row in books.log if row.event.type is EventType.CLAIMED and row.event.kind == "pod"),
        key=lambda row: row.position,
    )
    outcomes = {row.event.ticket: row for row in books.log if row.event.is_outcome and row.event.kind == "vm"}
    first_s = min(row.at_s for row in outcomes.values() if row.position > claimed.position)
    open_then: list[float] = []
    others: list[float] = []
    for receipt in centre.receipts[RESOURCES:]:
        answered_s = outcomes[receipt.ticket].at_s
        over = answered_s > asked_s and receipt.attempted_s < first_s
        (open_then if over else others).append(answered_s - receipt.attempted_s)
    print(f"nobody answered from {claimed.at_s - asked_s:.3f} to {first_s - asked_s:.3f} s after SIGTERM")
    for name, values in (("open at the hand-off", open_then), ("others", others)):
        found = percentiles(values)
        assert found is not None
        print(f"a client waited for units {name}: p50 {found[0]:.3f} s, p99 {found[1]:.3f} s, {len(values)} units")
