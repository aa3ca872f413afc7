"""What the owner of a resource does with a unit that was sent to it, in sentences: part of `explaining`, pure too."""

from treeward.orchestrator.api.branch_words import next_owner_in_words
from treeward.orchestrator.api.cause import Cause
from treeward.orchestrator.api.facts import Facts, OwnerSays
from treeward.orchestrator.api.held_words import drain_in_words
from treeward.orchestrator.api.words import ago, because, capital, span, times
from treeward.schemas.api.explain import Wait
from treeward.schemas.events import EventType


def explain_owner(facts: Facts, ticket: int) -> Cause:
    """Whether there is an owner, and what it says of the unit."""
    if facts.claim is not None and facts.claim.quarantined is not None:
        text = f"{capital(facts.branch_in_words)} is quarantined, for {span(facts.now_s - facts.claim.claimed_s)} now"
        release = f"submits `release` for {facts.zone}.pod.{facts.pod}"
        said = f"{text}{because(facts.claim.quarantined)}. Nobody acts for it until somebody {release}."
        return Cause(Wait.QUARANTINE, [said], f"somebody {release}", since_s=facts.claim.claimed_s)
    absence = _explain_absence(facts)
    if absence is not None:
        return absence
    says, claim = facts.says, facts.claim
    branch = facts.branch_in_words
    assert claim is not None, "an owner that is there was claimed"
    if says is None:
        text = f"The owner of {branch}, {claim.owner}, did not answer within 0.5 s; what it has in hand is not known."
        return Cause(Wait.OWNER, [text], f"{claim.owner} answers, or {facts.parent_in_words} claims {branch} anew")
    if says.phase == "quarantined":
        return _explain_quarantine(facts, says)
    if says.stopping and says.ticket != ticket:
        text = f"{claim.owner} is shutting down and takes nothing more"
        then = f"{facts.parent_in_words} claims {branch} for another"
        return Cause(Wait.OWNER, [f"{text}; {then}."], then)
    if says.phase in ("absent", "fetching"):
        return _on_its_way(facts, says)
    if says.ticket != ticket:
        return _explain_other(facts, says, ticket)
    return _explain_hand(facts, says, f"{claim.owner} has had it in hand for {span(says.taken_s or 0.0)}")


def _explain_quarantine(facts: Facts, says: OwnerSays) -> Cause:
    last = facts.last
    since_s = last.stored_s if last is not None and last.event.quarantined else None
    since = f", for {span(facts.now_s - since_s)} now" if since_s is not None else ""
    said = f"Its process is quarantined{since}{because(says.reason)}. It waits until somebody submits `release`."
    return Cause(Wait.QUARANTINE, [said], f"somebody submits `release` for {facts.address}", since_s=since_s)


def _explain_absence(facts: Facts) -> Cause | None:
    """Why nobody acts for the branch; None if somebody does."""
    claim, presence, now_s = facts.claim, facts.owner.presence, facts.now_s
    branch, parent = facts.branch_in_words, facts.parent_in_words
    if claim is None or claim.owner is None:
        return nobody_yet(facts)
    owner, named = claim.owner, ago(now_s - claim.claimed_s)
    takes = next_owner_in_words(facts, parent, branch, is_pod=facts.pod is not None)
    then = f"{parent} claims {branch} for another instance"
    if presence.state == "silent":
        heard_s = presence.heard_s or 0.0
        text = f"The owner of {branch}, {owner}, is suspected: silent for {span(heard_s)}. {takes}"
        return Cause(Wait.OWNER, [text], then, since_s=now_s - heard_s)
    if presence.state == "leaving":
        text = f"The owner of {branch}, {owner}, is shutting down; {parent} claims {branch} for another instance."
        return Cause(Wait.OWNER, [text], then)
    if facts.says is not None:
        return None
    if presence.state == "unknown":
        text = f"The owner of {branch}, {owner}, was named {named}; nothing is heard of it. {takes}"
        return Cause(Wait.OWNER, [text], then, since_s=claim.claimed_s)
    if not facts.owner.acts:
        text = f"{owner} was named the owner of {branch} {named} and does not act in epoch {claim.epoch} yet."
        return Cause(Wait.OWNER, [text], f"{owner} begins to act for {branch}", since_s=claim.claimed_s)
    return None


def nobody_yet(facts: Facts) -> Cause:
    """The branch never had an owner."""
    branch, parent = facts.branch_in_words, facts.parent_in_words
    text = f"Nobody has been claimed as the owner of {branch} yet; that is up to {parent}."
    return Cause(Wait.OWNER, [text], f"{parent} claims {branch} for an instance")


def _on_its_way(facts: Facts, says: OwnerSays) -> Cause:
    if says.phase == "fetching":
        return Cause(Wait.NOTHING, ["It has arrived; its owner is reading the last event of the resource."])
    queue = facts.queue
    again = f"; should it be lost, it is sent again in {span(queue.due_s - facts.now_s)}" if queue is not None else ""
    text = f"It was sent, and its owner does not have it yet: it is on its way{again}."
    return Cause(Wait.NOTHING, [text], "its owner takes it", queue.due_s if queue is not None else None)


def _explain_other(facts: Facts, says: OwnerSays, ticket: int) -> Cause:
    """It is the first without an outcome, and its process has another in hand, or none."""
    if says.ticket is not None:
        text = f"Its process has ticket {says.ticket} in hand."
        return Cause(Wait.QUEUE, [text], f"ticket {says.ticket} has an outcome")
    if ticket in says.waiting:
        text = "It is in the mailbox, and is taken once what comes before it has arrived."
        return Cause(Wait.NOTHING, [text], "its process takes it")
    return _on_its_way(facts, says)


def _explain_hand(facts: Facts, says: OwnerSays, taken: str) -> Cause:
    """What a process does with the unit in hand."""
    now_s = facts.now_s
    retry, retry_s = f"in {span(says.retry_in_s)}", now_s + says.retry_in_s
    taken_s = now_s - (says.taken_s or 0.0)
    match says.phase:
        case "called":
            at_it = f"{taken}; the device has been at it for {span(says.called_s or 0.0)}"
            if says.operation == "isolate":
                at_it = f"{taken}; its device is asked to fence it: nothing on it may act any more"
            limit = f"After {facts.limits.call_timeout_s:g} s without an answer its process crashes"
            called_s = now_s - (says.called_s or 0.0)
            text = f"{at_it}. {limit}, and the next life asks the device what became of it."
            if says.ahead:
                text += f" It was called ahead: {says.ahead} outcomes before it are on their way to the log."
            until_s = called_s + facts.limits.call_timeout_s
            then = "the device answers, or its process crashes"
            return Cause(Wait.DEVICE, [text, *_link(says)], then, until_s, called_s)
        case "synchronizing":
            text = f"{taken}; the device was asked to accept the new life and has not answered yet."
            return Cause(Wait.DEVICE, [text, *_link(says)], "the device accepts the new life", None, taken_s)
        case "asking" | "emptying":
            return Cause(Wait.HAND_OFF, [_moving(says, taken), *_link(says)], "it leaves its host", None, taken_s)
        case "initialized" if says.line_place is not None or says.retries or says.retry_in_s > 0:
            return _explain_beginning(facts, says, taken)
        case "ready" if says.retries and says.retry_in_s > 0:
            text = f"{taken}, and is to move{because(says.reason)}. It is tried again {retry}."
            return Cause(Wait.HAND_OFF, [text, *_link(says)], "the move is tried again", retry_s, taken_s)
        case "initialized" | "ready":
            return Cause(Wait.NOTHING, [f"{taken} and is about to begin."], "its process begins")
        case "committing":
            return Cause(Wait.NOTHING, [f"{taken}; what became of it is on its way to the log."], "the log has it")
        case "unplaced":
            return _explain_room(facts, says, taken)
        case phase:
            return Cause(Wait.NOTHING, [f"{taken}; its process is {phase}{because(says.reason)}."])


def _explain_beginning(facts: Facts, says: OwnerSays, taken: str) -> Cause:
    """Its device has not accepted its life, and is to be asked again."""
    retry, retry_s = f"in {span(says.retry_in_s)}", facts.now_s + says.retry_in_s
    if says.line_place is not None:
        return _explain_line(facts, says)
    if says.refusals:
        return _explain_refusal(facts, says, taken)
    if says.retries:
        refuses = f"the device does not accept the new life{because(says.reason)}"
        text = f"{taken}; {refuses}. It is asked again {retry}."
        taken_s = facts.now_s - (says.taken_s or 0.0)
        return Cause(Wait.DEVICE, [text, *_link(says)], "the device is asked again", retry_s, taken_s)
    said = [_back_off(facts, says, retry), *_suspicion(facts, says)]
    return Cause(Wait.BACK_OFF, said, "its process is tried again", retry_s, _crashed_s(facts))


def _explain_refusal(facts: Facts, says: OwnerSays, taken: str) -> Cause:
    """It has moved, and does not exist where it is now."""
    host = facts.last.event.host if facts.last is not None else None
    device = f", device {says.device}," if says.device is not None else ""
    refuses = f"{taken}; it has moved, and host {host}{device} refuses to make it{because(says.refusal)}"
    when, when_s = f"in {span(says.retry_in_s)}", facts.now_s + says.retry_in_s
    taken_s = facts.now_s - (says.taken_s or 0.0)
    if says.reason == says.refusal:
        limit = "" if says.restarts_max is None else f"; after more than {times(says.restarts_max)} it goes elsewhere"
        text = f"{refuses}. It is asked again {when}{limit}."
        return Cause(Wait.DEVICE, [text, *_link(says)], "the device is asked again", when_s, taken_s)
    text = f"{refuses}. It is to go elsewhere{because(says.reason)}. It is tried again {when}."
    return Cause(Wait.HAND_OFF, [text, *_link(says)], "the move is tried again", when_s, taken_s)


def _moving(says: OwnerSays, taken: str) -> str:
    if says.phase == "asking":
        return f"{taken}, and is to move: the zone supervisor is asked for a place."
    return f"{taken}, and has a place elsewhere: its device is asked to hold nothing of it any more."


def _crashed_s(facts: Facts) -> float | None:
    last = facts.last
    return last.stored_s if last is not None and last.event.type is EventType.CRASHED else None


def _back_off(facts: Facts, says: OwnerSays, retry: str) -> str:
    last = facts.last.event if facts.last is not None else None
    why = because(last.reason) if last is not None and last.type is EventType.CRASHED else ""
    period_s = says.restart_period_s if says.restart_period_s is not None else facts.limits.restart_period_s
    restarts_max = says.restarts_max if says.restarts_max is not None else facts.limits.restarts_max
    if says.suspects is not None:
        return f"Its process crashed{why}. It is tried again {retry}, and that does not count against it."
    crashed = f"Its process crashed {times(max(1, says.crashes))} within {period_s:g} s{why}"
    return f"{crashed}. It is tried again {retry}; after more than {restarts_max} restarts it is quarantined."


def _explain_line(facts: Facts, says: OwnerSays) -> Cause:
    """The budget of the pod."""
    place, others = says.line_place or 0, max(0, says.line_of - 1)
    before = "nothing is" if not place else f"{place} are" if place > 1 else "one is"
    rate = says.restarts_per_s or facts.limits.pod_restarts_per_s
    with_others = f"with {others} others: {before} before it" if others else "alone"
    said = f"Its process stands in line to be restarted, {with_others}"
    soon_s = place / rate
    turn = f"{facts.branch_in_words} restarts {rate:g} in a second, so its turn comes in {span(soon_s)} or later"
    sentences = [f"{said}, and {turn}.", *_suspicion(facts, says)]
    return Cause(
        Wait.BUDGET, sentences, "its turn in the line of its pod comes", facts.now_s + soon_s, _crashed_s(facts)
    )


def _suspicion(facts: Facts, says: OwnerSays) -> list[str]:
    """What its owner thinks of itself."""
    if says.suspects is None:
        return []
    branch = facts.branch_in_words
    said = f"Most processes of {branch} failed at once {ago(says.suspects_for_s or 0.0)}: its owner suspects itself"
    return [f"{said} ({says.suspects}), and blames none of them."]


def _explain_room(facts: Facts, says: OwnerSays, taken: str) -> Cause:
    last = facts.last.event if facts.last is not None else None
    moved = last is not None and last.type is EventType.HANDED_OFF
    wait = Wait.HAND_OFF if moved else Wait.ROOM
    left = [f"Its last pod handed it off{because(last.reason)}."] if moved and last is not None else []
    since_s = facts.now_s - (says.taken_s or 0.0)
    if not says.fold_complete:
        text = "The zone supervisor is still reading who is where; it gives places when it knows."
        return Cause(wait, [*left, text], "the zone supervisor knows who is where", None, since_s)
    if says.homeless and facts.claim is not None and facts.claim.draining:
        resume = f"somebody submits `resume` for root.zone.{facts.zone}"
        text = f"There is no place for it{because(says.reason)}. It goes as soon as {resume}."
        drained = [drain_in_words(facts, each) + "." for each in facts.steered if each.operation == "drain"]
        return Cause(wait, [*left, text, *drained], resume, None, since_s)
    if says.homeless:
        text = f"There is no place for it{because(says.reason)}. It goes as soon as there is room."
        return Cause(wait, [*left, text], "a host that it may use has room", None, since_s)
    return Cause(Wait.NOTHING, [*left, f"{taken} and is about to place or answer it."], "it is placed or answered")


def _link(says: OwnerSays) -> list[str]:
    if says.device is None or says.link in (None, "connected"):
        return []
    return [f"The device {says.device} cannot be reached{because(says.link_error)}; it is tried without end."]
