"""What holds a unit back in WORK, and who said so, in sentences: part of `explaining`, pure too."""

from treeward.orchestrator.api.cause import Cause
from treeward.orchestrator.api.facts import Asked, Facts, Steering
from treeward.orchestrator.api.words import because, capital, span, tickets
from treeward.orchestrator.describe import UnitHeld
from treeward.schemas.address import ROOT
from treeward.schemas.api.explain import Wait


def explain_held(facts: Facts, asked: Asked, unit: UnitHeld) -> Cause | None:
    """What keeps a unit in WORK: pauses, or tickets that it names. None: nothing does."""
    if unit.sent:
        return None
    pauses = pauses_of(facts, unit.ticket)
    if pauses:
        said = []
        for pause in pauses:
            behind = "Nothing of it" if pause.address.startswith(f"{ROOT}.") else "Nothing behind it"
            until = f"until somebody submits `resume` for {pause.address}"
            said.append(f"{pause_in_words(facts, pause)}. {behind} is sent {until}.")
        then = " and ".join(f"`resume` for {pause.address}" for pause in pauses)
        since_s = max((pause.since_s for pause in pauses if pause.since_s is not None), default=None)
        return Cause(Wait.PAUSE, said, f"somebody submits {then}", since_s=_later(since_s, unit.submitted_s))
    if not unit.after:
        return None
    keys = sorted({asked.others[other] for other in unit.after if other in asked.others})
    whose = f" ({', '.join(keys)})" if keys else ""
    until = f"{tickets(unit.after)}{whose} {'has' if len(unit.after) == 1 else 'have'} an outcome"
    why = f"`treeward explain {facts.zone}:{unit.after[0]}` says what that waits for."
    return Cause(Wait.AFTER, [f"It waits, as it was submitted to, until {until}, whatever that is.", why], until)


def pauses_of(facts: Facts, ticket: int) -> list[Steering]:
    """The pauses that hold a ticket: of the zone, of the pod, of the resource itself."""
    queue = facts.queue
    assert queue is not None, "the unit is from that queue"
    found = [_known(facts, f"{ROOT}.zone.{facts.zone}", None)] if queue.held_by_zone else []
    for pause, key in ((queue.held_by_pod, f"pod.{queue.pod}"), (queue.held_by, facts.key)):
        if pause is not None and ticket > pause:
            found.append(_known(facts, f"{facts.zone}.{key}", pause))
    return found


def _known(facts: Facts, address: str, ticket: int | None) -> Steering:
    """With who and why, if that was found."""
    found = (each for each in facts.steered if each.operation == "pause" and each.address == address)
    return next(found, Steering(address, "pause", ticket))


def _later(first: float | None, second: float | None) -> float | None:
    return max((each for each in (first, second) if each is not None), default=None)


def pause_in_words(facts: Facts, steering: Steering) -> str:
    """`Ticket 7 paused pod pod-1 3 min ago: power test (by ada)`."""
    if steering.ticket is None:
        return f"{capital(_what(steering))} is paused; who asked for that is not on record any more"
    return _in_words(facts, steering, "paused", " {} ago")


def drain_in_words(facts: Facts, steering: Steering) -> str:
    """`Ticket 7 drains host h1, for 3 min now: the fan is loud (by ada)`."""
    if steering.ticket is None:
        return f"{capital(_what(steering))} is being drained; who asked for that is not on record any more"
    return _in_words(facts, steering, "drains", ", for {} now")


def _in_words(facts: Facts, steering: Steering, verb: str, when: str) -> str:
    zone = steering.address.partition(".")[0]
    of = f" of {zone}" if zone != facts.zone else ""
    when = when.format(span(facts.now_s - steering.since_s)) if steering.since_s is not None else ""
    return f"Ticket {steering.ticket}{of} {verb} {_what(steering)}{when}{because(steering.reason)}"


def _what(steering: Steering) -> str:
    _, kind, id_ = steering.address.split(".")
    return f"{kind} {id_}" if kind in ("zone", "pod", "host") else steering.address
