"""Rules about hosts that are isolated: by a call, fenced and remembered like any other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

from treeward.cli.device_check.rules import rule
from treeward.cli.device_check.trial import NotOfferedError, Resource, Trial
from treeward.schemas.device import Status


class Fence(NamedTuple):
    """A host, and the numbers that it was isolated with: they go on from those that it had."""

    host: Resource
    life: int
    ticket: int


@asynccontextmanager
async def isolated(trial: Trial) -> AsyncIterator[Fence]:
    """The host is isolated inside, and open again afterwards."""
    assert trial.site.host is not None
    host = Resource(trial, "host", trial.site.host)
    seen = await host.observe()
    trial.expect(seen.exists, f"there is no host {host.id}: name one that exists, and that nobody uses")
    fence = Fence(host, seen.high + 1, max(seen.last, seen.begun) + 2)
    answer = await host.call(fence.ticket, "isolate", life=fence.life)
    if answer.status in (Status.REFUSED, Status.INVALID):
        raise NotOfferedError(f"it isolates nothing: {answer.reason}")
    try:
        trial.expect(answer.status is Status.APPLIED, f"isolate was answered {answer.status}")
        trial.expect(answer.isolated, "it applied isolate, and does not say that the host is isolated")
        yield fence
    finally:
        opened = await trial.ask(host.request("isolate", undo=True))
    trial.expect(opened.status is Status.OK, f"isolate with undo was answered {opened.status}")
    trial.expect(not opened.isolated, "after undo it says that the host is isolated")


@rule("isolate", host=True)
async def check_isolate(trial: Trial) -> None:
    """Isolate fences a host, also for higher lives, until it is undone; nothing done meanwhile is remembered."""
    resource = trial.resource()
    await resource.applied(1)
    async with isolated(trial) as fence:
        for life in (1, 2):
            called = await resource.call(2, "destroy", life=life)
            trial.expect(called.status is Status.UNREACHABLE, f"a call on an isolated host was {called.status}")
        told = await resource.synchronize(3)
        trial.expect(told.status is Status.UNREACHABLE, f"a synchronize on an isolated host was {told.status}")
        trial.expect(
            told.isolated and told.high == 3, "it is not told that the host is isolated and that the life has risen"
        )
        trial.expect((await fence.host.observe()).isolated, "observe of the host does not tell that it is isolated")
    seen = await resource.observe()
    trial.expect(seen.exists and seen.last == 1, "a call on an isolated host took effect, or was remembered")
    late = await resource.call(2, "destroy", life=2)
    trial.expect(late.status is Status.FENCED, f"a life below the one accepted meanwhile was {late.status} after undo")
    again = await resource.call(2, "destroy", life=3)
    trial.expect(again.status is Status.APPLIED, f"after undo the same call was {again.status}")


@rule("isolate-late", host=True)
async def check_isolate_late(trial: Trial) -> None:
    """An isolation of an older life, of another owner or of an older ticket is turned away and fences nothing."""
    async with isolated(trial) as fence:
        pass
    host, life, ticket = fence
    await host.synchronize(life + 1, "b")
    for late, what in ((life, "an older life"), (life + 1, "another owner")):
        answer = await host.call(ticket + 1, "isolate", life=late)
        trial.expect(answer.status is Status.FENCED, f"an isolation of {what} was answered {answer.status}")
    older = await host.call(ticket - 1, "isolate", life=life + 1, owner="b")
    trial.expect(older.status is Status.OLDER, f"an isolation of an older ticket was answered {older.status}")
    await _takes_calls(trial)


@rule("isolate-again", host=True)
async def check_isolate_again(trial: Trial) -> None:
    """An isolation that comes again is answered from memory, and fences nothing a second time."""
    async with isolated(trial) as fence:
        pass
    host, life, ticket = fence
    for later in (life, life + 1):
        again = await host.call(ticket, "isolate", life=later)
        trial.expect(
            again.status is Status.APPLIED, f"the same isolation was answered {again.status} when it came again"
        )
    await _takes_calls(trial)


@rule("isolate-ends", slow=True, host=True)
async def check_isolate_ends(trial: Trial) -> None:
    """Isolate ends what is in progress on the host: it never takes effect."""
    resource = trial.resource()
    wire = await trial.wire()
    async with trial.slowness():
        call = wire.send(resource.call_of(5))
        await resource.begun(5)
        async with isolated(trial):
            told = await wire.answer_of(call, "the call on a host that was isolated")
            trial.note("the call", told)
            trial.expect(told.status is Status.UNREACHABLE, f"the call on an isolated host was answered {told.status}")
    seen = await resource.synchronize(2)
    trial.expect(not seen.exists and seen.last == 0, "a call took effect on a host that had been isolated")
    trial.expect(seen.begun == 5, "`begun` does not tell that the call began")


@rule("isolate-restart", restart=True, host=True)
async def check_isolate_restart(trial: Trial) -> None:
    """A restart of the device side opens no host, and forgets neither who isolated it nor for which ticket."""
    resource = trial.resource()
    async with isolated(trial) as fence:
        host, life, ticket = fence
        await trial.restart()
        called = await resource.call(1)
        trial.expect(called.status is Status.UNREACHABLE, f"a call was {called.status} after isolate and a restart")
        again = await host.call(ticket, "isolate", life=life)
        trial.expect(
            again.status is Status.APPLIED and again.isolated,
            f"the same isolation was answered {again.status} after a restart",
        )
        late = await host.call(ticket + 1, "isolate", life=life - 1)
        trial.expect(late.status is Status.FENCED, f"an isolation of an older life was {late.status} after a restart")


async def _takes_calls(trial: Trial) -> None:
    """The host is open; it is left so in any case."""
    called = await trial.resource().call(1)
    if called.status is Status.UNREACHABLE:
        await trial.ask(
            {"verb": "isolate", "zone": trial.site.zone, "kind": "host", "id": trial.site.host, "undo": True}
        )
    trial.expect(called.status is Status.APPLIED, f"afterwards a call on the host was {called.status}: it was fenced")
