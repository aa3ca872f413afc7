"""A pod agent that sleeps through its replacement: what it had under way is refused by the device."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from tests.faults.scene import Scene, scene, until
from tests.faults.site import Size

from treeward.runtime.judge import Rule
from treeward.schemas.device_control import Fault, FaultEffect

SIZE = Size(servers=1, orchestrators=1, zone_supervisors=1, agents=2, zones=1, pods=1, hosts=1)
VM = "vm.web-1"
BRANCH = "zone-a.a1"
PAUSE_S = float(os.environ.get("FAULTS_PAUSE_S", "0"))
"""An agent is asleep for so long at least; it is replaced after 2 s."""


async def called(scene: Scene, ticket: int) -> None:
    async def in_hand() -> bool:
        said = await scene.explain(VM, "a1")
        return (said.get("phase"), said.get("ticket")) == ("called", ticket)

    await until(in_hand, f"a call of ticket {ticket}")


async def a_stale_call_arrives(scene: Scene, *, fenced: bool) -> int:
    """An agent's call is under way when it is frozen; it arrives after its unit was cancelled in the next life."""
    await scene.answered(await scene.ask(VM, "create"))
    asleep = await scene.owner_of(BRANCH)
    link = scene.site.device_links[asleep]
    link.cut(to_client=False)
    ticket = await scene.ask(VM, "stop")
    await called(scene, ticket)
    scene.site.programs[asleep].pause()
    paused_s = time.monotonic()
    await scene.answered(ticket, await scene.ask(VM, "cancel", ticket=ticket))
    await scene.owner_of(BRANCH, other_than=asleep)
    if not fenced:
        await scene.fault(Fault(effect=FaultEffect.FENCE_OFF))
    # How long it sleeps is what is tested: the rest of that time, and no wait for an effect.
    await asyncio.sleep(max(0.0, PAUSE_S - (time.monotonic() - paused_s)))
    link.heal()
    await until(lambda: scene.calls(ticket), "the stale call")
    scene.site.programs[asleep].resume()
    await until(lambda: BRANCH not in scene.observer.held_by(asleep), "the agent sees that it was replaced")
    await scene.answered(await scene.ask(VM, "destroy"))
    await scene.all_answered()
    return ticket


@pytest.mark.timeout(180)
async def test_the_stale_call_of_a_paused_agent_is_refused(tmp_path: Path) -> None:
    async with scene(tmp_path, SIZE) as centre:
        ticket = await a_stale_call_arrives(centre, fenced=True)
        assert centre.calls(ticket) == ["fenced"]
        assert await centre.violations() == []


@pytest.mark.timeout(180)
async def test_a_device_that_does_not_check_lives_is_found_out_by_the_books(tmp_path: Path) -> None:
    async with scene(tmp_path, SIZE) as centre:
        ticket = await a_stale_call_arrives(centre, fenced=False)
        assert centre.calls(ticket) == ["applied"]
        broken = [(violation.rule, violation.ticket) for violation in await centre.violations()]
        assert (Rule.EFFECT_WITHOUT_COMPLETED, ticket) in broken


@pytest.mark.timeout(180)
async def test_a_slow_call_of_a_paused_agent_takes_effect_once_and_is_answered_by_the_next(tmp_path: Path) -> None:
    async with scene(tmp_path, SIZE) as centre:
        await centre.answered(await centre.ask(VM, "create"))
        asleep = await centre.owner_of(BRANCH)
        await centre.fault(Fault(effect=FaultEffect.LATENCY, operation="stop", seconds=5.0, times=1))
        ticket = await centre.ask(VM, "stop")
        await called(centre, ticket)
        centre.site.programs[asleep].pause()
        await centre.answered(ticket)
        await centre.owner_of(BRANCH, other_than=asleep)
        centre.site.programs[asleep].resume()
        await until(lambda: BRANCH not in centre.observer.held_by(asleep), "the agent sees that it was replaced")
        await centre.answered(await centre.ask(VM, "start"))
        assert centre.calls(ticket) == ["applied"]
        assert await centre.violations() == []
