"""Rules about calls that take time: the life does not rise under them, and they are joined, not doubled."""

import asyncio

from treeward.cli.device_check.rules import rule
from treeward.cli.device_check.trial import Trial
from treeward.cli.device_check.wire import RuleBrokenError
from treeward.schemas.device import Answer, Status


@rule("busy", slow=True)
async def check_busy(trial: Trial) -> None:
    """While a call is in progress a higher life waits or is told `busy`, and is accepted when it is over."""
    resource = trial.resource()
    wire, other = await trial.wire(), await trial.connect()
    async with trial.slowness():
        call = wire.send(resource.call_of(5, life=1, owner="a"))
        await resource.begun(5)
        trial.expect(not call.done(), "the device was not made slow: the call was over before anything could be asked")
        told = await resource.synchronize(2, "b", wire=other)
        trial.expect(told.status is Status.OK, f"life 2 was answered {told.status}")
        trial.expect(
            (told.last, told.exists) == (5, True), "life 2 was accepted while a call of life 1 was still in progress"
        )
        trial.note("the call of life 1", await wire.answer_of(call, "the call that was in progress"))


@rule("serial", slow=True)
async def check_serial(trial: Trial) -> None:
    """Calls on one address are carried out one after the other: another ticket waits or is told `busy`."""
    resource = trial.resource()
    wire = await trial.wire()
    async with trial.slowness():
        first = wire.send(resource.call_of(5))
        await resource.begun(5)
        second = wire.send(resource.call_of(6, "destroy"))
        while not first.done():
            seen = await resource.observe(wire=wire)
            if seen.begun > 5:
                await asyncio.sleep(0.1)  # unless the first was over, and only its answer had not been read yet
            trial.expect(seen.begun == 5 or first.done(), "ticket 6 began while ticket 5 was in progress")
            await asyncio.sleep(0.05)
        one, two = [await wire.answer_of(call, "one of two calls on an address") for call in (first, second)]
        trial.note("the call of ticket 5", one)
        trial.note("the call of ticket 6", two)
        trial.expect(one.status is Status.APPLIED, f"ticket 5 was {one.status}")
        # A refusal means that the destroy was tried while what it destroys was still being made.
        trial.expect(two.status in {Status.BUSY, Status.APPLIED}, f"ticket 6 was {two.status} while 5 was in progress")
        seen = await resource.observe()
        trial.expect(seen.exists is (two.status is Status.BUSY), "what exists is not what the two calls came to")


@rule("joined", slow=True)
async def check_joined(trial: Trial) -> None:
    """A call that comes again while it is in progress waits for it, and is answered the same."""
    resource = trial.resource()
    wire, other = await trial.wire(), await trial.connect()
    async with trial.slowness():
        first = wire.send(resource.call_of(5))
        await resource.begun(5)
        again = [other.send(resource.call_of(5)) for _ in range(3)]
        for call in (first, *again):
            told = await wire.answer_of(call, "a call that came again while it was in progress")
            trial.note("the call of ticket 5", told)
            trial.expect(told.status is Status.APPLIED, f"one copy of the call was answered {told.status}")


@rule("alive", slow=True)
async def check_alive(trial: Trial) -> None:
    """While a call is in progress, pings and other addresses are served, on its connection too."""
    resource, other = trial.resource(), trial.resource()
    wire = await trial.wire()
    async with trial.slowness():
        call = wire.send(resource.call_of(5))
        await resource.begun(5)
        await trial.ask({"verb": "ping"}, wire)
        await other.observe()
        trial.expect(not call.done(), "they were answered only after the call was over")
        await wire.answer_of(call, "the call that was in progress")


@rule("restart-memory", restart=True)
async def check_restart_memory(trial: Trial) -> None:
    """Lives, owners, tickets and refusals survive a restart of the device side."""
    kept, refused, gone = (trial.resource() for _ in range(3))
    await kept.applied(5, life=3, owner="b")
    await refused.applied(5, life=3, owner="b")
    reason = (await refused.call(6, life=3, owner="b")).reason
    await gone.applied(5, life=3, owner="b")
    await gone.applied(6, "destroy", life=3, owner="b")
    await trial.restart()
    for resource, last, exists in ((kept, 5, True), (refused, 6, True), (gone, 6, False)):
        zombie = await resource.call(9, "create" if exists else "destroy", life=2)
        trial.expect(zombie.status is Status.FENCED, f"life 2 was answered {zombie.status} after life 3 and a restart")
        other = await resource.call(9, life=3, owner="a")
        trial.expect(other.status is Status.FENCED, f"another owner was answered {other.status} after a restart")
        late = await resource.call(last - 1, "destroy", life=3, owner="b")
        trial.expect(
            late.status in {Status.OLDER, Status.APPLIED}, f"an older ticket was {late.status} after a restart"
        )
        seen = await resource.observe()
        trial.expect((seen.last, seen.exists) == (last, exists), "what was answered before the restart is forgotten")
    again = await refused.call(6, "destroy", life=3, owner="b")
    trial.expect((again.status, again.reason) == (Status.REFUSED, reason), "a refusal was forgotten by the restart")


@rule("restart-halfway", slow=True, restart=True)
async def check_restart_halfway(trial: Trial) -> None:
    """A restart in the middle of a call: the next life is told `last` or `begun`, and nothing happens afterwards."""
    resource = trial.resource()
    async with trial.slowness():
        call = (await trial.wire()).send(resource.call_of(5, life=1, owner="a"))
        await resource.begun(5)
        trial.expect(not call.done(), "the device was not made slow: the call was over before the restart")
        await trial.restart()
        told = await resource.synchronize(2, "b")
        trial.expect(told.status is Status.OK, f"life 2 was answered {told.status}")
        trial.expect(
            5 in (told.last, told.begun), "after the restart neither `last` nor `begun` tells of the call that began"
        )
        await _stays(trial, told, resource.request("observe"))
    again = await resource.call(5, life=2, owner="b")
    trial.expect(
        again.status is Status.APPLIED,
        f"the call that the restart broke off was {again.status} when it came again: {again.reason}",
    )
    trial.expect(again.exists and again.last == 5, "the call that came again is answered otherwise than it took effect")
    if told.last == 5:
        trial.expect(told.exists, "the call is told as applied, and nothing exists")


@rule("restart-race", restart=True)
async def check_restart_race(trial: Trial) -> None:
    """A restart at any moment: what was answered is remembered, and a repeated call is answered once."""
    resources = [trial.resource() for _ in range(8)]
    wire = await trial.wire()
    calls = [wire.send(resource.call_of(5)) for resource in resources]
    await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED, timeout=trial.site.timeout_s)
    answered = {
        resource.id: call.result().status
        for resource, call in zip(resources, calls, strict=True)
        if call.done() and not call.exception()
    }
    await trial.restart()
    for resource in resources:
        told = await resource.synchronize(2)
        if resource.id in answered:
            trial.expect(told.last == 5, "a ticket that had been answered was forgotten by a restart")
        again = await resource.call(5, life=2)
        trial.expect(again.status is Status.APPLIED, f"a repeated call was {again.status}: {again.reason}")


async def _stays(trial: Trial, told: Answer, observe: dict[str, object]) -> None:
    """What a slow call of a lower life would still do would be seen by now."""
    give_up_s = asyncio.get_running_loop().time() + trial.site.watch_s
    while asyncio.get_running_loop().time() < give_up_s:
        wire = await trial.wire()
        seen = await wire.answer_of(wire.send(observe), "observe")
        if (seen.exists, seen.last) != (told.exists, told.last):
            raise RuleBrokenError("something changed after life 2 had been accepted: a call of life 1 still acted")
        await asyncio.sleep(0.1)
