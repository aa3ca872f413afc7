"""Why a unit or a resource stands where it stands: facts in, sentences out. Pure; one function for each cause.

A unit waits for the first that keeps it from going on, looked for in the order of its path: the units before it, what
holds it in WORK, its owner, its process, its device. Of a unit behind others the sentences go on with the first of
those, since that is what everything behind it waits for.
"""

from treeward.orchestrator.api.asking import asking_in_words
from treeward.orchestrator.api.cause import Cause
from treeward.orchestrator.api.facts import Asked, Facts
from treeward.orchestrator.api.held_words import explain_held
from treeward.orchestrator.api.owner_words import explain_owner, nobody_yet
from treeward.orchestrator.api.resource import (
    at,
    budget_of,
    doubt_of,
    help_of,
    owner_of,
    process_of,
    queued_unit,
    silent_of,
    stage_of,
    state_of,
    steered_of,
    units_of,
)
from treeward.orchestrator.api.rest_words import explain_resource, explain_settled
from treeward.orchestrator.api.words import ago, because, span, tickets, times
from treeward.orchestrator.describe import UnitHeld
from treeward.schemas.api.explain import ExplainAnswer, Wait
from treeward.schemas.events import Outcome


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
        since=at(_since_s(facts, asked, unit, cause)),
        next=cause.next,
        next_at=at(cause.next_s),
        steered=steered_of(facts),
        budget=budget_of(facts),
        help=help_of(facts),
        unit=queued_unit(unit, stage_of(facts, unit)) if unit is not None else None,
        behind=ahead,
        state=state_of(facts),
        owner=owner_of(facts.owner) if facts.claim is not None else None,
        owner_says=facts.says.model_dump(exclude_none=True) if facts.says is not None else None,
        silent=silent_of(facts),
    )


def _since_s(facts: Facts, asked: Asked, unit: UnitHeld | None, cause: Cause) -> float | None:
    """Since when it waits for what it waits for; at the earliest since it was accepted."""
    if cause.waits_for is Wait.NOTHING and unit is None:
        return None
    accepted_s = _accepted_s(asked, unit)
    return max((each for each in (cause.since_s, accepted_s) if each is not None), default=None)


def _accepted_s(asked: Asked, unit: UnitHeld | None) -> float | None:
    if unit is not None and unit.submitted_s is not None:
        return unit.submitted_s
    return asked.submitted.stored_s if asked.submitted is not None else None


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
        return explain_settled(facts, asked, name)
    if unit is None:
        return explain_resource(facts, name)
    return _explain_waiting(facts, asked, unit, ahead, name)


# --- a unit that waits -----------------------------------------------------------------------------------------------


def _explain_waiting(facts: Facts, asked: Asked, unit: UnitHeld, ahead: list[int], name: str) -> Cause:
    operation = f" ({unit.operation} of {name})" if unit.operation else f" of {name}"
    submitted_s = _accepted_s(asked, unit)
    since = f" was accepted {ago(facts.now_s - submitted_s)} and" if submitted_s is not None else ""
    said = [f"Ticket {unit.ticket}{operation}{since} has no outcome yet."]
    if unit.mark is not None:
        said.append(_mark_in_words(facts, unit, unit.mark))
    held = explain_held(facts, asked, unit) if unit.mark is None else None
    if not ahead:
        cause = held or _explain_first(facts, unit)
        said += [*cause.sentences, *_explain_doubt(facts), *_explain_chances(facts, unit), *asking_in_words(facts)]
        said += _explain_place(facts)
        return cause._replace(sentences=said)
    head, queue = units_of(facts)[0], facts.queue
    assert queue is not None, "the unit is from that queue"
    count = max(len(ahead), queue.before)
    come = "comes" if count == 1 else "come"
    before = tickets(ahead, count)
    said.append(f"Before it {come} {before} of the same resource; units take effect one at a time, in order.")
    if not unit.sent and count >= facts.limits.window:
        said.append(f"At most {facts.limits.window} units of a resource are in its mailbox; the rest stays in WORK.")
    first = (explain_held(facts, asked, head) if head.mark is None else None) or _explain_first(facts, head)
    word = head.operation or "its body is not in memory"
    said.append(f"Of the first of them, ticket {head.ticket} ({word}):")
    said += [*first.sentences, *_explain_doubt(facts), *_explain_chances(facts, head), *asking_in_words(facts)]
    if held is not None and not unit.sent:
        said.append(f"And of ticket {unit.ticket} itself:")
        said += held.sentences
    said += _explain_place(facts)
    then = f"{before} {'has' if count == 1 else 'have'} an outcome"
    return Cause(Wait.QUEUE, said, then)


def _mark_in_words(facts: Facts, unit: UnitHeld, mark: Outcome) -> str:
    """What it is to be answered with, if it has not taken effect before."""
    doubt = doubt_of(facts)
    if doubt is not None and doubt.ticket == unit.ticket:
        return f"Unless the device has carried it out, it will be answered `{mark.value}`{because(unit.mark_reason)}."
    decided = f"`{mark.value}` is decided{because(unit.mark_reason)}"
    return f"It will not be started: {decided}. That is said when its turn comes."


def _explain_first(facts: Facts, unit: UnitHeld) -> Cause:
    """What the first unit of a resource waits for, if nothing holds it."""
    queue = facts.queue
    assert queue is not None, "the unit is from that queue"
    if queue.fetching or queue.position < 0:
        return Cause(Wait.NOTHING, ["The dispatcher is reading the last event of the resource, and sends it then."])
    if queue.epoch == 0:
        return nobody_yet(facts)
    if not unit.sent and queue.waits_for_credit:
        credit = facts.limits.credit
        text = f"The mailboxes of {facts.branch_in_words} hold {credit} unanswered units, as many as they may at once"
        then = f"others of {facts.branch_in_words} are answered"
        return Cause(Wait.CREDIT, [f"{text}; it stands in line and is sent when others are answered."], then)
    if not unit.sent:
        return Cause(Wait.NOTHING, ["It is about to be sent to its process."], "it is sent")
    cause = explain_owner(facts, unit.ticket)
    if not queue.slow:
        return cause
    again = f"the next time in {span(queue.due_s - facts.now_s)}"
    slow = f"It was not answered for long, so the dispatcher sends it more rarely, {again}."
    return cause._replace(sentences=[*cause.sentences, slow])


def _explain_doubt(facts: Facts) -> list[str]:
    """That nobody knows whether a unit took effect, and what would tell."""
    doubt = doubt_of(facts)
    if doubt is None:
        return []
    if doubt.verdict is None:
        return [f"Until the device answers, nobody knows whether ticket {doubt.ticket} takes effect."]
    tells = "the device tells as soon as the next owner or life synchronizes with it"
    last, says = facts.last, facts.says
    if last is not None and last.event.quarantined:
        tells = "after a `release` the device tells"
    said = [
        f"Ticket {doubt.ticket} is in doubt: it may have been started before, and nobody saw the end of it; {tells}."
    ]
    if says is not None and says.retries and facts.pod is not None and last is not None:
        place = f"host.{last.event.host}" if last.event.host else f"pod.{facts.pod}"
        isolate = f"`treeward isolate {facts.zone}.{place}`"
        said.append(f"If that never comes back: {isolate} gives it up, and answers the ticket `failed`, maybe started.")
    return said


def _explain_place(facts: Facts) -> list[str]:
    """Which process it is, and which supervisor answers for it."""
    claim, last = facts.claim, facts.last
    if claim is None or claim.owner is None:
        return []
    branch, owned = facts.branch_in_words, span(facts.now_s - claim.claimed_s)
    if facts.pod is None or last is None:
        return [f"It has no place; {claim.owner} answers for it, which has owned {branch} for {owned}."]
    host = f"on host {last.event.host} of" if last.event.host else "in"
    process = process_of(last, facts.owner.epoch).value
    supervisor = f"its supervisor is {claim.owner}, which has owned {branch} for {owned}"
    return [f"Its process is {host} {branch}, `{process}`; {supervisor}."]


def _explain_chances(facts: Facts, unit: UnitHeld) -> list[str]:
    """How often it was tried, and until when it may start."""
    said = []
    attempts = max(
        unit.attempts, facts.says.attempts if facts.says is not None and facts.says.ticket == unit.ticket else 0
    )
    if attempts:
        limit, left = "", (unit.attempts_max or 0) - attempts
        if unit.attempts_max is not None:
            limit = f"; after {times(unit.attempts_max)} it is `failed`" + (", so once more" if left == 1 else "")
        said.append(f"It was called {times(attempts)} without an answer{limit}.")
    if unit.deadline_s is not None and not (facts.says is not None and facts.says.called_s is not None):
        left_s = unit.deadline_s - facts.now_s
        when = f"in {span(left_s)}" if left_s > 0 else f"{ago(-left_s)}"
        said.append(
            f"Its deadline, for the start, {'is' if left_s > 0 else 'was'} {when}; not started by then it is `expired`."
        )
    return said
