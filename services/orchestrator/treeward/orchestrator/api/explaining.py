"""Why a unit or a resource stands where it stands: facts in, sentences out. Pure; one function for each cause.

A unit waits for the first that keeps it from going on, looked for in the order of its path: the units before it, what
holds it in WORK, its owner, its process, its device. Of a unit behind others the sentences go on with the first of
those, since that is what everything behind it waits for.
"""

from typing import NamedTuple

from treeward.orchestrator.api.facts import Asked, Facts
from treeward.orchestrator.api.owner_words import explain_owner
from treeward.orchestrator.api.resource import (
    doubt_of,
    owner_of,
    process_of,
    queued_unit,
    silent_of,
    stage_of,
    state_of,
    units_of,
)
from treeward.orchestrator.api.words import ago, because, span, tickets, times
from treeward.orchestrator.describe import UnitHeld
from treeward.schemas.api import ExplainAnswer, ProcessState, Wait
from treeward.schemas.events import EventType, Outcome, Verdict


class Cause(NamedTuple):
    """What something waits for, and the sentences that say so."""

    waits_for: Wait
    sentences: list[str]


def explain(facts: Facts, asked: Asked) -> ExplainAnswer:
    """Say why; `facts` are of the resource that the ticket (or the key) names."""
    units = units_of(facts)
    unit = _unit_asked(units, asked)
    ahead = [other.ticket for other in units if unit is not None and other.ticket < unit.ticket]
    outcome = asked.outcome.event if asked.outcome is not None else None
    cause = _decide(facts, asked, unit, ahead)
    kind, _, id_ = facts.key.partition(".")
    return ExplainAnswer(
        zone=facts.zone,
        kind=kind,
        id=id_,
        ticket=asked.ticket if asked.ticket is not None else unit.ticket if unit is not None else None,
        outcome=Outcome(outcome.type.value) if outcome is not None else None,
        waits_for=cause.waits_for,
        sentences=cause.sentences,
        unit=queued_unit(unit, stage_of(facts, unit)) if unit is not None else None,
        behind=ahead,
        state=state_of(facts),
        owner=owner_of(facts.owner) if facts.claim is not None else None,
        owner_says=facts.says.model_dump(exclude_none=True) if facts.says is not None else None,
        silent=silent_of(facts),
    )


def explain_unknown(zone: str, asked: Asked) -> ExplainAnswer:
    """Of a ticket that the zone does not have."""
    assert asked.ticket is not None, "only a ticket can be unknown: a resource nobody heard of has an answer"
    ticket = asked.ticket
    if asked.accepted_last < ticket:
        last = f"the last is {asked.accepted_last}" if asked.accepted_last else "it has accepted none"
        sentence = f"Zone {zone} has not accepted a ticket {ticket}; {last}."
    else:
        sentence = (
            f"Ticket {ticket} is older than the history of zone {zone}, which begins at ticket {asked.accepted_first}."
        )
    return ExplainAnswer(zone=zone, kind="", id="", ticket=ticket, sentences=[sentence])


def _unit_asked(units: list[UnitHeld], asked: Asked) -> UnitHeld | None:
    if asked.ticket is None:
        return units[0] if units else None
    return next((unit for unit in units if unit.ticket == asked.ticket), None)


def _decide(facts: Facts, asked: Asked, unit: UnitHeld | None, ahead: list[int]) -> Cause:
    name = f"{facts.zone}.{facts.key}"
    if asked.key is not None and asked.key != facts.key:
        return Cause(Wait.NOTHING, [f"Ticket {asked.ticket} is of {name}, not of {facts.zone}.{asked.key}."])
    if asked.ticket is not None and unit is None:
        return _explain_settled(facts, asked, name)
    if unit is None:
        return _explain_resource(facts, name)
    return _explain_waiting(facts, asked, unit, ahead, name)


# --- a ticket that waits no more, or is not known to -----------------------------------------------------------------


def _explain_settled(facts: Facts, asked: Asked, name: str) -> Cause:
    ticket = asked.ticket
    submitted = asked.submitted
    what = (
        f"Ticket {ticket} ({submitted.operation} of {name})"
        if submitted and submitted.operation
        else f"Ticket {ticket} of {name}"
    )
    if asked.outcome is not None:
        position, event, stored_s = asked.outcome
        text = (
            f"{what} was answered `{event.type.value}` {ago(facts.now_s - stored_s)}, at position {position} of the log"
        )
        said = [f"{text}{because(event.reason)}."]
        if event.type is EventType.FAILED and event.verdict is Verdict.MAYBE_STARTED:
            said.append("Nobody knows whether it took effect: its device was isolated while the unit was in doubt.")
        return Cause(Wait.NOTHING, said)
    if ticket is not None and ticket <= facts.answered:
        said = [f"{what} was answered; its outcome has aged out of the log. The last answered is {facts.answered}."]
        return Cause(Wait.NOTHING, said)
    accepted = f"{what} was accepted {ago(facts.now_s - submitted.stored_s)}" if submitted else f"{what} was accepted"
    return Cause(Wait.NOTHING, [f"{accepted} and has no outcome yet.", _dispatcher_in_words(facts, ticket or 0)])


def _dispatcher_in_words(facts: Facts, ticket: int) -> str:
    held = facts.held
    if held is None:
        return (
            f"The dispatcher of {facts.zone} did not answer within 0.5 s, so what comes before it is not known; "
            "when its orchestrator is gone, another dispatches for the zone within 2 s."
        )
    if not held.caught_up or held.read_up_to < ticket:
        return f"The dispatcher of {facts.zone} is still reading WORK and has come to ticket {held.read_up_to}."
    return "Its dispatcher does not hold it: it is being answered right now, or was."


# --- a resource for which nothing waits ------------------------------------------------------------------------------


def _explain_resource(facts: Facts, name: str) -> Cause:
    last = facts.last
    waits = [] if facts.held is not None and facts.held.caught_up else [_dispatcher_in_words(facts, 0)]
    if last is None:
        known = "and no unit waits for it" if not waits else "as far as the log tells"
        return Cause(Wait.NOTHING, [f"Nothing was ever said of {name}, {known}.", *waits])
    event = last.event
    where = f" on host {event.host} of pod {facts.pod}" if facts.pod is not None and event.host else ""
    process = process_of(last, facts.owner.epoch)
    there = f"{name} exists{where}" if event.definition is not None else f"{name} does not exist"
    if doubt_of(facts) is not None:
        there = f"Whether {name} exists is not certain now"
    elif process not in (ProcessState.NONE, ProcessState.READY):
        there += f"; its process is {process.value}"
    ticket = f" of ticket {event.ticket}" if event.ticket is not None else ""
    since = f"{ago(facts.now_s - last.stored_s)}{because(event.reason)}"
    said = [f"{there}.", f"The last that was said of it is `{event.type.value}`{ticket}, {since}.", *waits]
    if event.paused:
        said.append("It is paused: what is submitted waits for `resume`.")
    if event.quarantined:
        return Cause(
            Wait.QUARANTINE, [*said, "It is quarantined: what is submitted waits until somebody submits `release`."]
        )
    if not waits:
        said.append("No unit waits for it.")
    return Cause(Wait.NOTHING, said)


# --- a unit that waits -----------------------------------------------------------------------------------------------


def _explain_waiting(facts: Facts, asked: Asked, unit: UnitHeld, ahead: list[int], name: str) -> Cause:
    operation = f" ({unit.operation} of {name})" if unit.operation else f" of {name}"
    submitted_s = unit.submitted_s or (asked.submitted.stored_s if asked.submitted is not None else None)
    since = f" was accepted {ago(facts.now_s - submitted_s)} and" if submitted_s is not None else ""
    said = [f"Ticket {unit.ticket}{operation}{since} has no outcome yet."]
    if unit.mark is not None:
        said.append(
            f"It will not be started: `{unit.mark.value}` is decided{because(unit.mark_reason)}. "
            "That is said when its turn comes."
        )
    held = _explain_held(facts, asked, unit) if unit.mark is None else None
    if not ahead:
        cause = held or _explain_first(facts, unit)
        said += [*cause.sentences, *_explain_doubt(facts), *_explain_chances(facts, unit)]
        return Cause(cause.waits_for, said)
    head = units_of(facts)[0]
    come = "comes" if len(ahead) == 1 else "come"
    said.append(f"Before it {come} {tickets(ahead)} of the same resource; units take effect one at a time, in order.")
    first = (_explain_held(facts, asked, head) if head.mark is None else None) or _explain_first(facts, head)
    word = head.operation or "its body is not in memory"
    said.append(f"Of the first of them, ticket {head.ticket} ({word}):")
    said += [*first.sentences, *_explain_doubt(facts), *_explain_chances(facts, head)]
    if held is not None and facts.queue is not None and not unit.sent:
        said.append(f"And of ticket {unit.ticket} itself:")
        said += held.sentences
    return Cause(Wait.QUEUE, said)


def _explain_held(facts: Facts, asked: Asked, unit: UnitHeld) -> Cause | None:
    """What keeps it in WORK: a pause, or tickets that it names."""
    queue = facts.queue
    assert queue is not None, "the unit is from that queue"
    if unit.sent:
        return None
    for pause, what in ((queue.held_by, f"{facts.zone}.{facts.key}"), (queue.held_by_pod, f"pod {queue.pod}")):
        if pause is not None and unit.ticket > pause:
            return Cause(
                Wait.PAUSE,
                [f"Ticket {pause} paused {what}: nothing behind it is sent until somebody submits `resume`."],
            )
    if unit.after:
        keys = sorted({asked.others[other] for other in unit.after if other in asked.others})
        whose = f" ({', '.join(keys)})" if keys else ""
        has = "has" if len(unit.after) == 1 else "have"
        until = f"until {tickets(unit.after)}{whose} {has} an outcome, whatever that is"
        return Cause(Wait.AFTER, [f"It waits, as it was submitted to, {until}."])
    return None


def _explain_first(facts: Facts, unit: UnitHeld) -> Cause:
    """What the first unit of a resource waits for, if nothing holds it."""
    queue = facts.queue
    assert queue is not None, "the unit is from that queue"
    if queue.fetching or queue.position < 0:
        return Cause(Wait.NOTHING, ["The dispatcher is reading the last event of the resource, and sends it then."])
    if queue.epoch == 0:
        return Cause(Wait.OWNER, [f"Nobody has been claimed as the owner of {facts.branch_in_words} yet."])
    if not unit.sent and queue.waits_for_credit:
        credit = facts.limits.credit
        text = f"The mailboxes of {facts.branch_in_words} hold {credit} unanswered units, as many as they may at once"
        return Cause(Wait.CREDIT, [f"{text}; it stands in line and is sent when others are answered."])
    if not unit.sent:
        return Cause(Wait.NOTHING, ["It is about to be sent to its process."])
    waits_for, sentences = explain_owner(facts, unit.ticket)
    if queue.slow:
        again = f"the next time in {span(queue.due_s - facts.now_s)}"
        sentences = [*sentences, f"It was not answered for long, so the dispatcher sends it more rarely, {again}."]
    return Cause(waits_for, sentences)


def _explain_doubt(facts: Facts) -> list[str]:
    """That nobody knows whether a unit took effect, and what would tell."""
    doubt = doubt_of(facts)
    if doubt is None:
        return []
    if doubt.verdict is None:
        return [f"Until the device answers, nobody knows whether ticket {doubt.ticket} takes effect."]
    tells = "the device tells as soon as the next owner or life synchronizes with it"
    if facts.last is not None and facts.last.event.quarantined:
        tells = "after a `release` the device tells"
    return [
        f"Ticket {doubt.ticket} is in doubt: it may have been started before, and nobody saw the end of it; {tells}."
    ]


def _explain_chances(facts: Facts, unit: UnitHeld) -> list[str]:
    """How often it was tried, and until when it may start."""
    said = []
    attempts = max(
        unit.attempts, facts.says.attempts if facts.says is not None and facts.says.ticket == unit.ticket else 0
    )
    if attempts:
        limit = f"; after {times(unit.attempts_max)} it is `failed`" if unit.attempts_max is not None else ""
        said.append(f"It was called {times(attempts)} without an answer{limit}.")
    if unit.deadline_s is not None and not (facts.says is not None and facts.says.called_s is not None):
        left_s = unit.deadline_s - facts.now_s
        when = f"in {span(left_s)}" if left_s > 0 else f"{ago(-left_s)}"
        said.append(
            f"Its deadline, for the start, {'is' if left_s > 0 else 'was'} {when}; not started by then it is `expired`."
        )
    return said
