"""What is said of a ticket that waits no more, and of a resource that is at rest: part of `explaining`, pure too."""

from treeward.orchestrator.api.asking import asking_in_words
from treeward.orchestrator.api.branch_words import owner_in_words
from treeward.orchestrator.api.cause import Cause
from treeward.orchestrator.api.facts import Asked, Facts
from treeward.orchestrator.api.held_words import drain_in_words, pause_in_words
from treeward.orchestrator.api.resource import doubt_of, process_of
from treeward.orchestrator.api.words import ago, because
from treeward.schemas.api.explain import Wait
from treeward.schemas.api.parts import ProcessState
from treeward.schemas.events import EventType, Verdict

# --- a ticket that waits no more, or is not known to -----------------------------------------------------------------


def explain_settled(facts: Facts, asked: Asked, name: str) -> Cause:
    """A ticket that is answered, or on its way between its dispatcher and the log."""
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
    said = [f"{accepted} and has no outcome yet.", _dispatcher_in_words(facts, ticket or 0)]
    then = f"the dispatcher of {facts.zone} sends it" if facts.held is None or not facts.held.caught_up else None
    return Cause(Wait.NOTHING, said, then)


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


def explain_resource(facts: Facts, name: str) -> Cause:
    """A resource of which no unit is known to wait: what it is, and what would hold one up."""
    last = facts.last
    waits = [] if facts.held is not None and facts.held.caught_up else [_dispatcher_in_words(facts, 0)]
    then = f"the dispatcher of {facts.zone} says what waits" if waits else None
    if last is None:
        known = "and no unit waits for it" if not waits else "as far as the log tells"
        return Cause(Wait.NOTHING, [f"Nothing was ever said of {name}, {known}.", *waits], then)
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
    owned = owner_in_words(facts)
    if not owned or event.type is not EventType.CLAIMED:
        owned = [f"The last that was said of it is `{event.type.value}`{ticket}, {since}.", *owned]
    said = [f"{there}.", *owned, *waits]
    if event.isolated:
        said.append("It is isolated: nothing takes effect there, and nothing is placed there until it is made anew.")
    said += [*_explain_steering(facts), *asking_in_words(facts)]
    if event.quarantined:
        text = "It is quarantined: what is submitted waits until somebody submits `release`."
        then = f"somebody submits `release` for {name}"
        return Cause(Wait.QUARANTINE, [*said, text], then, since_s=last.stored_s)
    if not waits:
        said.append("No unit waits for it.")
    return Cause(Wait.NOTHING, said, then)


def _explain_steering(facts: Facts) -> list[str]:
    """Who paused or drains it, and how far that is."""
    own = [each for each in facts.steered if each.address == facts.address]
    said = []
    if facts.last is not None and facts.last.event.paused:
        who = [f"{pause_in_words(facts, each)}." for each in own if each.operation == "pause"]
        said += [*who, "It is paused: what is submitted waits for `resume`."]
    said += [f"{drain_in_words(facts, each)}." for each in own if each.operation == "drain"]
    left = facts.emptying
    if left is not None:
        said.append("1 resource is still there." if left["left"] == 1 else f"{left['left']} resources are still there.")
    if left is not None and left.get("waiting"):
        said.append(f"{left['waiting']} of them cannot leave; of {left['first']}: {left['reason']}.")
    return said
