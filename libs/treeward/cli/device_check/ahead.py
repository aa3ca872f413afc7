"""Rules for a device that remembers more than the last ticket: its owner calls so many units ahead of the log."""

from treeward.cli.device_check.rules import rule
from treeward.cli.device_check.trial import NotOfferedError, Resource, Trial
from treeward.schemas.device import Answer, Remembered, Status

TRIED_MAX = 200
"""Of a device that remembers more than so many tickets, only so many are tried."""
FIRST, STEP = 10, 3
"""The tickets of one address are not consecutive: most of them are other resources'."""
OPERATIONS = ("create", "create", "destroy", "destroy")
"""Applied, refused, applied, refused, and so on: neighbours are answered differently, for different reasons."""


@rule("recent")
async def check_recent(trial: Trial) -> None:
    """Synchronize and observe tell the last tickets, as many as `remembers` says, in order, with what each came to."""
    resource = trial.resource()
    wanted = await _remembers(resource)
    answered: list[Remembered] = []
    for _ in range(wanted + 1):
        answered.append(await _next(resource, answered))
        _expect_told(trial, await resource.observe(), answered[-wanted:], "observe")
    _expect_told(trial, await resource.synchronize(2, "b"), answered[-wanted:], "synchronize")


@rule("ahead")
async def check_ahead(trial: Trial) -> None:
    """Each ticket remembered is answered from memory as it was, and not carried out again; any other is `older`."""
    resource = trial.resource()
    wanted = await _remembers(resource)
    answered = await _answer(resource, wanted + 2)
    before = await resource.observe()
    for life, owner in ((1, "a"), (2, "b")):
        await _expect_answers(trial, resource, answered[-wanted:], life, owner)
    for known in answered[:-wanted]:
        late = await resource.call(known.ticket, "destroy", life=3)
        allowed = {Status.OLDER, Status.APPLIED if known.applied else Status.REFUSED}  # it may remember more than told
        trial.expect(late.status in allowed, f"ticket {known.ticket}, long answered, was answered {late.status}")
    for ticket in (answered[0].ticket - 1, answered[-1].ticket - 1):
        never = await resource.call(ticket, "destroy" if before.exists else "create", life=3)
        trial.expect(
            never.status is Status.OLDER, f"ticket {ticket}, which was never called, was {never.status} after a higher"
        )
    after = await resource.observe()
    trial.expect(
        (after.exists, after.last, after.recent) == (before.exists, before.last, before.recent),
        "tickets that had been answered changed something when they came again",
    )


@rule("ahead-outlives")
async def check_ahead_outlives(trial: Trial) -> None:
    """The tickets remembered outlive the object, like the record they belong to."""
    resource = trial.resource()
    wanted = await _remembers(resource)
    count = next(count for count in range(wanted, wanted + 4) if count % 4 == 3)
    answered = await _answer(resource, count)
    seen = await resource.observe()
    trial.expect(not seen.exists and answered[-1].applied, "the destroy was applied, and it still exists")
    await _expect_answers(trial, resource, answered[-wanted:], 2, "b")
    _expect_told(trial, await resource.synchronize(3, "a"), answered[-wanted:], "synchronize after a destroy")


@rule("ahead-restart", restart=True)
async def check_ahead_restart(trial: Trial) -> None:
    """The tickets remembered survive a restart of the device side, and it does not say fewer afterwards."""
    resource = trial.resource()
    wanted = await _remembers(resource)
    answered = await _answer(resource, wanted + 2)
    await trial.restart()
    told = await resource.synchronize(2, "b")
    trial.expect(min(told.remembers, TRIED_MAX) >= wanted, "it says after a restart that it remembers fewer")
    _expect_told(trial, told, answered[-wanted:], "synchronize after a restart")
    await _expect_answers(trial, resource, answered[-wanted:], 2, "b")


async def _remembers(resource: Resource) -> int:
    """How many tickets are to be tried; raises NotOfferedError if the last one is all that is remembered."""
    told = await resource.synchronize(1)
    if told.remembers == 1:
        raise NotOfferedError("it remembers the last ticket alone, which is always enough")
    return min(told.remembers, TRIED_MAX)


async def _answer(resource: Resource, count: int) -> list[Remembered]:
    """Have so many tickets answered, of which every other one is refused."""
    answered: list[Remembered] = []
    for _ in range(count):
        answered.append(await _next(resource, answered))
    return answered


async def _next(resource: Resource, answered: list[Remembered]) -> Remembered:
    trial, ticket = resource.trial, FIRST + STEP * len(answered)
    operation, applies = OPERATIONS[len(answered) % 4], len(answered) % 2 == 0
    answer = await resource.call(ticket, operation)
    wanted = Status.APPLIED if applies else Status.REFUSED
    trial.expect(answer.status is wanted, f"{operation} must be {wanted} here, and was {answer.status}")
    return Remembered(ticket=ticket, applied=applies, reason=None if applies else answer.reason)


async def _expect_answers(trial: Trial, resource: Resource, answered: list[Remembered], life: int, owner: str) -> None:
    for known in answered:
        for operation in ("create", "destroy"):  # a device that looks at more than the ticket would carry one out
            again = await resource.call(known.ticket, operation, life=life, owner=owner)
            wanted = Status.APPLIED if known.applied else Status.REFUSED
            trial.expect(
                again.status is wanted,
                f"ticket {known.ticket} was {wanted}, is one of the last {len(answered)}, and was answered "
                f"{again.status} when it came again",
            )
            trial.expect(
                known.applied or again.reason == known.reason,
                f"ticket {known.ticket} was given another reason when it came again",
            )


def _expect_told(trial: Trial, told: Answer, answered: list[Remembered], what: str) -> None:
    """`answered`: what must be remembered, oldest first, `last` at its end. More may be told before it."""
    *recent, last = answered
    trial.expect(
        (told.last, told.last_applied) == (last.ticket, last.applied), f"{what} tells another last ticket or outcome"
    )
    tickets = [known.ticket for known in told.recent]
    trial.expect(tickets == sorted(tickets), f"{what} tells the tickets remembered out of order: {tickets}")
    held = {known.ticket: known for known in told.recent}
    for known in recent:
        same = held.get(known.ticket)
        trial.expect(same is not None, f"{what} says that {told.remembers} are remembered, without {known.ticket}")
        trial.expect(
            same is not None and same.applied is known.applied and (known.applied or same.reason == known.reason),
            f"{what} tells that ticket {known.ticket} came to something else than it was answered",
        )
