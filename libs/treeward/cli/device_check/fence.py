"""Rules about lives: who may act."""

import asyncio

from treeward.cli.device_check.rules import rule
from treeward.cli.device_check.trial import Trial
from treeward.schemas.device import Status


@rule("unknown-address")
async def check_unknown_address(trial: Trial) -> None:
    """An address that was never used is `ok`, exists not, and has no life and no ticket."""
    seen = await trial.resource().observe()
    trial.expect(
        (seen.high, seen.owner, seen.last, seen.begun, seen.exists) == (0, None, 0, 0, False),
        "it tells something of an address that nobody has used",
    )


@rule("synchronize")
async def check_synchronize(trial: Trial) -> None:
    """Synchronize raises the life, tells it with its owner, and may be repeated."""
    resource = trial.resource()
    for life in (5, 5, 8):
        told = await resource.synchronize(life)
        trial.expect(told.status is Status.OK, f"life {life} was answered {told.status}")
        trial.expect((told.high, told.owner) == (life, "a"), f"life {life} of a was accepted; it tells another")
    seen = await resource.observe()
    trial.expect((seen.high, seen.owner) == (8, "a"), "observe tells another life than was accepted")


@rule("fence-lower")
async def check_fence_lower(trial: Trial) -> None:
    """A lower life is `fenced`, on every connection, with the life and owner that won, and does nothing."""
    resource = trial.resource()
    other = await trial.connect()
    await resource.synchronize(7, "b")
    for wire in (await trial.wire(), other):
        called = await resource.call(1, life=6, owner="a", wire=wire)
        asked = await resource.synchronize(6, "a", wire=wire)
        for what, answer in (("a call", called), ("a synchronize", asked)):
            trial.expect(answer.status is Status.FENCED, f"{what} of life 6 was answered {answer.status} after life 7")
            trial.expect((answer.high, answer.owner) == (7, "b"), f"{what} that was fenced is not told who won")
    seen = await resource.observe()
    trial.expect(not seen.exists and seen.last == 0, "a call of a lower life took effect")
    trial.expect(seen.high == 7, "the life fell")


@rule("fence-owner")
async def check_fence_owner(trial: Trial) -> None:
    """The same life of another owner is `fenced` and does nothing."""
    resource = trial.resource()
    await resource.synchronize(7, "b")
    called = await resource.call(1, life=7, owner="a")
    asked = await resource.synchronize(7, "a")
    trial.expect(called.status is Status.FENCED, f"a call of another owner in the same life was {called.status}")
    trial.expect(asked.status is Status.FENCED, f"a synchronize of another owner in the same life was {asked.status}")
    seen = await resource.observe()
    trial.expect(not seen.exists and seen.owner == "b", "another owner acted in the same life")


@rule("call-raises")
async def check_call_raises(trial: Trial) -> None:
    """A call of a higher life raises the life as synchronize does."""
    resource = trial.resource()
    await resource.synchronize(3, "a")
    await resource.applied(1, life=5, owner="b")
    late = await resource.call(2, "destroy", life=4, owner="a")
    trial.expect(late.status is Status.FENCED, f"life 4 was answered {late.status} after a call of life 5")
    trial.expect((await resource.observe()).exists, "a call of a lower life took effect")


@rule("observe")
async def check_observe(trial: Trial) -> None:
    """Observe fences nobody and changes nothing."""
    resource = trial.resource()
    before = await resource.observe()
    await resource.applied(4, life=2)
    first, second = await resource.observe(), await resource.observe()
    trial.expect(before.high == 0, "observe accepted a life")
    told = (first.exists, first.last, first.last_applied, first.high, first.begun)
    trial.expect(told == (True, 4, True, 2, 4), "observe tells something else than what was done")
    first.seq = second.seq
    trial.expect(first == second, "observe changed something")


@rule("race")
async def check_race(trial: Trial) -> None:
    """After synchronize was answered, no call of a lower life takes effect: raced on two connections and after cuts."""
    for round_ in range(trial.site.rounds):
        resource = trial.resource()
        old, new = await trial.connect(), await trial.connect()
        call = old.send(resource.call_of(1, life=1, owner="a"))
        if round_ % 2:
            await old.push()
            old.cut(reset=round_ % 4 == 1)
        told = await resource.synchronize(2, "b", wire=new)
        trial.expect(told.status is Status.OK, f"life 2 was answered {told.status}")
        if not round_ % 2:
            late = await old.answer_of(call, "a call that raced with a higher life")
            trial.expect(
                late.status is not Status.APPLIED or told.last == 1,
                f"the call of life 1 was {late.status} after life 2 had been accepted",
            )
        await trial.ask({"verb": "ping"}, new)
        await asyncio.sleep(0.02)
        seen = await resource.observe(wire=new)
        trial.expect(
            (seen.exists, seen.last) == (told.exists, told.last), "something changed after life 2 had been accepted"
        )
        for wire in (old, new):
            trial.wires.remove(wire)
            await wire.close()
