"""What the owner of a resource does with a unit that was sent to it, in sentences: part of `explaining`, pure too."""

from treeward.orchestrator.api.facts import Facts, OwnerSays
from treeward.orchestrator.api.words import ago, because, capital, span, times
from treeward.schemas.api import Wait
from treeward.schemas.events import EventType

Explained = tuple[Wait, list[str]]


def explain_owner(facts: Facts, ticket: int) -> Explained:
    """Whether there is an owner, and what it says of the unit."""
    if facts.claim is not None and facts.claim.quarantined is not None:
        text = f"{capital(facts.branch_in_words)} is quarantined{because(facts.claim.quarantined)}"
        return Wait.QUARANTINE, [f"{text}. Nobody acts for it until somebody submits `release` for it."]
    absence = _explain_absence(facts)
    if absence is not None:
        return Wait.OWNER, [absence]
    says, claim = facts.says, facts.claim
    branch = facts.branch_in_words
    assert claim is not None, "an owner that is there was claimed"
    if says is None:
        return Wait.OWNER, [
            f"The owner of {branch}, {claim.owner}, did not answer within 0.5 s; what it has in hand is not known."
        ]
    if says.phase == "quarantined":
        text = f"Its process is quarantined{because(says.reason)}"
        return Wait.QUARANTINE, [f"{text}. It waits until somebody submits `release`."]
    if says.stopping and says.ticket != ticket:
        text = f"{claim.owner} is shutting down and takes nothing more"
        return Wait.OWNER, [f"{text}; {facts.parent_in_words} claims {branch} for another."]
    if says.phase in ("absent", "fetching"):
        return Wait.NOTHING, [_on_its_way(facts, says)]
    if says.ticket != ticket:
        return _explain_other(facts, says, ticket)
    return _explain_hand(facts, says, f"{claim.owner} has had it in hand for {span(says.taken_s or 0.0)}")


def _explain_absence(facts: Facts) -> str | None:
    """Why nobody acts for the branch; None if somebody does."""
    claim, presence = facts.claim, facts.owner.presence
    branch, parent = facts.branch_in_words, facts.parent_in_words
    if claim is None or claim.owner is None:
        return f"Nobody has been claimed as the owner of {branch} yet; that is up to {parent}."
    owner, named = claim.owner, ago(facts.now_s - claim.claimed_s)
    patience = f"after {facts.limits.suspicion_s:g} s of silence"
    takes = f"{capital(parent)} claims {branch} for another instance {patience}, if there is one."
    if presence.state == "silent":
        return f"The owner of {branch}, {owner}, is suspected: silent for {span(presence.heard_s or 0.0)}. {takes}"
    if presence.state == "leaving":
        return f"The owner of {branch}, {owner}, is shutting down; {parent} claims {branch} for another instance."
    if facts.says is not None:
        return None
    if presence.state == "unknown":
        return f"The owner of {branch}, {owner}, was named {named}; nothing is heard of it. {takes}"
    if not facts.owner.acts:
        return f"{owner} was named the owner of {branch} {named} and does not act in epoch {claim.epoch} yet."
    return None


def _on_its_way(facts: Facts, says: OwnerSays) -> str:
    if says.phase == "fetching":
        return "It has arrived; its owner is reading the last event of the resource."
    queue = facts.queue
    again = f"; should it be lost, it is sent again in {span(queue.due_s - facts.now_s)}" if queue is not None else ""
    return f"It was sent, and its owner does not have it yet: it is on its way{again}."


def _explain_other(facts: Facts, says: OwnerSays, ticket: int) -> Explained:
    """It is the first without an outcome, and its process has another in hand, or none."""
    if says.ticket is not None:
        return Wait.QUEUE, [f"Its process has ticket {says.ticket} in hand."]
    if ticket in says.waiting:
        return Wait.NOTHING, ["It is in the mailbox, and is taken once what comes before it has arrived."]
    return Wait.NOTHING, [_on_its_way(facts, says)]


def _explain_hand(facts: Facts, says: OwnerSays, taken: str) -> Explained:
    """What a process does with the unit in hand."""
    retry = f"in {span(says.retry_in_s)}"
    match says.phase:
        case "called":
            at_it = f"{taken}; the device has been at it for {span(says.called_s or 0.0)}"
            limit = f"After {facts.limits.call_timeout_s:g} s without an answer its process crashes"
            ask = "the next life asks the device what became of it"
            return Wait.DEVICE, [f"{at_it}. {limit}, and {ask}.", *_link(says)]
        case "synchronizing":
            asked = "the device was asked to accept the new life and has not answered yet"
            return Wait.DEVICE, [f"{taken}; {asked}.", *_link(says)]
        case "initialized" if says.line_place is not None:
            return Wait.BUDGET, [_line(facts, says), *_suspicion(facts, says)]
        case "initialized" if says.retries:
            refuses = f"the device does not accept the new life{because(says.reason)}"
            return Wait.DEVICE, [f"{taken}; {refuses}. It is asked again {retry}.", *_link(says)]
        case "initialized" if says.retry_in_s > 0:
            return Wait.BACK_OFF, [_back_off(facts, says, retry), *_suspicion(facts, says)]
        case "initialized" | "ready":
            return Wait.NOTHING, [f"{taken} and is about to begin."]
        case "committing":
            return Wait.NOTHING, [f"{taken}; what became of it is on its way to the log."]
        case "unplaced":
            return _explain_room(facts, says, taken)
        case phase:
            return Wait.NOTHING, [f"{taken}; its process is {phase}{because(says.reason)}."]


def _back_off(facts: Facts, says: OwnerSays, retry: str) -> str:
    last = facts.last.event if facts.last is not None else None
    why = because(last.reason) if last is not None and last.type is EventType.CRASHED else ""
    period_s = says.restart_period_s if says.restart_period_s is not None else facts.limits.restart_period_s
    restarts_max = says.restarts_max if says.restarts_max is not None else facts.limits.restarts_max
    if says.suspects is not None:
        return f"Its process crashed{why}. It is tried again {retry}, and that does not count against it."
    crashed = f"Its process crashed {times(max(1, says.crashes))} within {period_s:g} s{why}"
    return f"{crashed}. It is tried again {retry}; after more than {restarts_max} restarts it is quarantined."


def _line(facts: Facts, says: OwnerSays) -> str:
    """The budget of the pod."""
    before = "nothing is" if not says.line_place else f"{says.line_place} are" if says.line_place > 1 else "one is"
    rate = says.restarts_per_s or facts.limits.pod_restarts_per_s
    said = f"Its process stands in line to be restarted, with {max(0, says.line_of - 1)} others: {before} before it"
    soon = span((says.line_place or 0) / rate)
    return f"{said}, and {facts.branch_in_words} restarts {rate:g} in a second, so its turn comes in {soon} or later."


def _suspicion(facts: Facts, says: OwnerSays) -> list[str]:
    """What its owner thinks of itself."""
    if says.suspects is None:
        return []
    branch, parent = facts.branch_in_words, facts.parent_in_words
    said = f"Most processes of {branch} failed at once {ago(says.suspects_for_s or 0.0)}: its owner suspects itself"
    asked = [f"It has asked {parent} for help: {says.escalated}."] if says.escalated is not None else []
    return [f"{said} ({says.suspects}), and blames none of them.", *asked]


def _explain_room(facts: Facts, says: OwnerSays, taken: str) -> Explained:
    last = facts.last.event if facts.last is not None else None
    moved = last is not None and last.type is EventType.HANDED_OFF
    wait = Wait.HAND_OFF if moved else Wait.ROOM
    left = [f"Its last pod handed it off{because(last.reason)}."] if moved and last is not None else []
    if not says.fold_complete:
        return wait, [*left, "The zone supervisor is still reading who is where; it gives places when it knows."]
    if says.homeless:
        return wait, [*left, f"There is no place for it{because(says.reason)}. It goes as soon as there is room."]
    return Wait.NOTHING, [*left, f"{taken} and is about to place or answer it."]


def _link(says: OwnerSays) -> list[str]:
    if says.device is None or says.link in (None, "connected"):
        return []
    return [f"The device {says.device} cannot be reached{because(says.link_error)}; it is tried without end."]
