"""Rules about tickets: each takes effect once, and is answered the same for ever."""

from typing import Any

from treeward.cli.device_check.rules import rule
from treeward.cli.device_check.trial import NotOfferedError, Resource, Trial
from treeward.schemas.device import Answer, Status


@rule("applied")
async def check_applied(trial: Trial) -> None:
    """A call is carried out, and its answer tells the ticket, that it was applied, and what exists."""
    resource = trial.resource()
    await resource.synchronize(1)
    answer = await resource.applied(5)
    trial.expect(
        (answer.last, answer.last_applied, answer.exists) == (5, True, True), "its answer tells something else"
    )
    trial.expect(answer.begun >= 5, "`begun` is lower than a ticket whose call began")


@rule("remembered")
async def check_remembered(trial: Trial) -> None:
    """The last ticket is answered from memory, in every life, and nothing is done again."""
    resource = trial.resource()
    await resource.applied(5)
    for life, owner in ((1, "a"), (2, "b")):
        # The same ticket with another operation: a device that looks at more than the ticket would carry it out.
        again = await resource.call(5, "destroy", life=life, owner=owner)
        trial.expect(again.status is Status.APPLIED, f"the last ticket was answered {again.status} when it came again")
        again = await resource.call(5, life=life, owner=owner)
        trial.expect(again.status is Status.APPLIED, f"the last ticket was answered {again.status} when it came again")
    seen = await resource.observe()
    trial.expect(seen.exists and seen.last == 5, "a ticket that had been answered took effect again")


@rule("refused")
async def check_refused(trial: Trial) -> None:
    """A refusal leaves the device unchanged, says why, and is remembered like an effect."""
    resource = trial.resource()
    await resource.applied(5)
    refused = await resource.call(6)
    trial.expect(refused.status is Status.REFUSED, f"creating what exists was answered {refused.status}")
    trial.expect(refused.reason, "a refusal does not say why")
    told = (refused.last, refused.last_applied, refused.exists)
    trial.expect(told == (6, False, True), "the answer to what was refused tells something else")
    again = await resource.call(6, "destroy", life=2)
    trial.expect(again.status is Status.REFUSED, f"a refused ticket was answered {again.status} when it came again")
    trial.expect(again.reason == refused.reason, "a refused ticket was given another reason when it came again")
    seen = await resource.synchronize(3)
    trial.expect(seen.exists, "a ticket that had been refused took effect")
    trial.expect((seen.last, seen.last_applied) == (6, False), "synchronize does not tell the refusal")
    trial.expect(seen.last_reason == refused.reason, "synchronize does not tell why the last ticket was refused")


@rule("older")
async def check_older(trial: Trial) -> None:
    """A ticket lower than the last one is never carried out: `older`, or what it was answered."""
    resource = trial.resource()
    await resource.applied(5)
    for ticket, allowed in ((3, {Status.OLDER}), (4, {Status.OLDER})):
        late = await resource.call(ticket, "destroy", life=2)
        trial.expect(late.status in allowed, f"ticket {ticket} was answered {late.status} after ticket 5")
    await resource.applied(6, "destroy", life=2)
    late = await resource.call(5, life=2)
    trial.expect(late.status in {Status.OLDER, Status.APPLIED}, f"ticket 5 was answered {late.status} after ticket 6")
    seen = await resource.observe()
    trial.expect(not seen.exists and seen.last == 6, "an older ticket took effect")


@rule("outlives")
async def check_outlives(trial: Trial) -> None:
    """The record outlives the object: after a destroy, lives and tickets count as before."""
    resource = trial.resource()
    await resource.applied(5, life=3)
    await resource.applied(6, "destroy", life=3)
    zombie = await resource.call(7, life=2)
    trial.expect(zombie.status is Status.FENCED, f"life 2 was answered {zombie.status} after the object of life 3 went")
    again = await resource.call(6, "destroy", life=3)
    trial.expect(again.status is Status.APPLIED, f"the destroy was answered {again.status} when it came again")
    late = await resource.call(5, life=4)
    trial.expect(late.status in {Status.OLDER, Status.APPLIED}, f"the create was answered {late.status} after destroy")
    told = await resource.synchronize(5)
    trial.expect((told.last, told.last_applied) == (6, True), "the last ticket was forgotten with the object")
    trial.expect(not told.exists, "what was destroyed exists")
    await resource.applied(8, life=5)


@rule("lost-call")
async def check_lost_call(trial: Trial) -> None:
    """A call whose answer was lost, repeated on a new connection, is answered as if it had not been."""
    for round_ in range(trial.site.rounds):
        resource = trial.resource()
        for ticket, operation in ((1, "create"), (2, "destroy")):
            wire = await trial.connect()
            wire.send(resource.call_of(ticket, operation))
            await wire.push()
            wire.cut(reset=bool(round_ % 2))
            trial.wires.remove(wire)
            again = await resource.call(ticket, operation)
            trial.expect(
                again.status is Status.APPLIED, f"a repeated {operation} was answered {again.status}: {again.reason}"
            )
            told = (again.last, again.exists)
            trial.expect(told == (ticket, operation == "create"), f"a repeated {operation} is answered otherwise")
            await wire.close()


@rule("make")
async def check_make(trial: Trial) -> None:
    """Synchronize with a definition makes what is absent, without a ticket, but not after a call of that life."""
    resource = trial.resource()
    definition = trial.site.spec or {}
    made = await resource.synchronize(2, definition=definition)
    if made.status is Status.FAILED:
        raise NotOfferedError(f"it makes nothing by synchronize: {made.reason}")
    trial.expect(made.status is Status.OK and made.exists, "synchronize with a definition was `ok` and made nothing")
    trial.expect((made.last, made.begun) == (0, 0), "making by synchronize counts as a ticket")
    await resource.applied(1, "destroy", life=2)
    late = await resource.synchronize(2, definition=definition)
    trial.expect(not late.exists, "a late copy of a synchronize made again what a call of its life had destroyed")
    made = await resource.synchronize(3, definition=definition)
    trial.expect(made.exists, "the next life could not make it")


@rule("absent")
async def check_absent(trial: Trial) -> None:
    """Synchronize with `absent` removes what is held, keeps the record, and may be repeated."""
    resource = trial.resource()
    await resource.applied(4)
    gone = await resource.synchronize(2, absent=True)
    if gone.status is Status.FAILED:
        raise NotOfferedError(f"it removes nothing by synchronize: {gone.reason}")
    trial.expect(gone.status is Status.OK and not gone.exists, "synchronize with `absent` was `ok` and removed nothing")
    trial.expect((gone.last, gone.last_applied) == (4, True), "the record went with the object")
    again = await resource.synchronize(2, absent=True)
    trial.expect(again.status is Status.OK, f"what is absent cannot be made sure of again: {again.status}")
    late = await resource.synchronize(2, definition=trial.site.spec or {})
    trial.expect(not late.exists, "a late copy of a synchronize made again what had been removed in its life")


@rule("restore")
async def check_restore(trial: Trial) -> None:
    """A call of `restore` makes what is missing and sets right what exists, as its `definition` says, or is refused."""
    resource = trial.resource()
    await resource.applied(1)
    definition = (await resource.observe()).definition
    if definition is None:
        raise NotOfferedError("it tells no definition of what exists, so nothing can be found changed")
    await resource.applied(2, "destroy")
    made = await _restore(resource, 3, definition)
    if made.status is Status.REFUSED:
        raise NotOfferedError(f"it restores nothing: {made.reason}")
    trial.expect(made.status is Status.APPLIED, f"a restore of what is missing was {made.status}: {made.reason}")
    seen = await resource.observe()
    trial.expect(seen.exists and seen.definition == definition, "it was missing, and a restore has made something else")
    other = another(definition)
    set_right = await _restore(resource, 4, other)
    trial.expect(
        set_right.status in {Status.APPLIED, Status.REFUSED}, f"a restore of what exists was {set_right.status}"
    )
    seen = await resource.observe()
    wanted = other if set_right.status is Status.APPLIED else definition
    trial.expect(
        seen.exists and seen.definition == wanted,
        f"a restore of what exists was {set_right.status}, and what exists is something else than that means",
    )
    await resource.applied(5, "destroy")
    await _restore(resource, 4, other)
    trial.expect(not (await resource.observe()).exists, "a late copy of a restore made again what was destroyed since")


async def _restore(resource: Resource, ticket: int, definition: dict[str, Any]) -> Answer:
    spec = {"definition": definition, "answered": ticket - 1}
    return await resource.trial.ask(resource.call_of(ticket, "restore", spec=spec))


def another(definition: dict[str, Any]) -> dict[str, Any]:
    """The same with its first number doubled; a definition without a number stays as it is."""
    for name, value in definition.items():
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
            return {**definition, name: 2 * value}
    return definition
