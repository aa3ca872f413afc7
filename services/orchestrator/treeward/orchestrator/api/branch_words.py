"""Who owns a zone or pod, and what is done if nobody acts for it: part of `explaining`, pure too."""

from treeward.orchestrator.api.facts import Branch, Facts
from treeward.orchestrator.api.words import ago, because, capital, span
from treeward.schemas.address import ROOT


def owner_in_words(facts: Facts) -> list[str]:
    """Of the zone or pod that was asked for; nothing of other resources, nor of what is quarantined."""
    branch, last = facts.itself, facts.last
    if not branch.name or last is None or last.event.definition is None or last.event.quarantined:
        return []
    if branch.claim is None or branch.claim.owner is None:
        return [f"It has no owner yet: {_parent(facts)} claims it for an instance as soon as one is there."]
    owner, named = branch.claim.owner, ago(facts.now_s - branch.claim.claimed_s)
    why = because(branch.claim.reason)
    match branch.presence.state:
        case "silent":
            text = f"Its owner, {owner}, is suspected: silent for {span(branch.presence.heard_s or 0.0)}"
        case "leaving":
            return [f"Its owner, {owner}, is shutting down; {_parent(facts)} claims it for another instance."]
        case "unknown":
            text = f"Its owner, {owner}, was named {named}{why}; nothing is heard of it"
        case "present" if not branch.acts:
            said = f"{owner} was named its owner {named}{why}. It does not act in epoch {branch.epoch} yet."
            return [said, *_perhaps_no_device(facts, owner)]
        case _:
            return _owned(facts, branch, owner, named + why)
    return [f"{text}. {next_owner_in_words(facts, _parent(facts), 'it', is_pod=facts.zone != ROOT)}"]


def next_owner_in_words(facts: Facts, parent: str, branch: str, *, is_pod: bool) -> str:
    """What becomes of a branch whose owner is not heard."""
    said = f"{capital(parent)} claims {branch} for another instance after {facts.limits.suspicion_s:g} s of silence"
    if not is_pod:
        return f"{said}, if there is one."
    return f"{said}; if there is none, it acts for {branch} itself after {facts.limits.orphan_s:g} s more."


def _parent(facts: Facts) -> str:
    return "root's owner" if facts.zone == ROOT else "the zone supervisor"


def _owned(facts: Facts, branch: Branch, owner: str, claimed: str) -> list[str]:
    """By an instance that is there and acts."""
    said = f"Its owner is {owner}, claimed {claimed}."
    above = facts.claim.owner if facts.claim is not None else None
    if facts.zone == ROOT or owner != above:
        return [said]
    if facts.last is not None and facts.last.event.isolated:
        return [said, "That is the zone supervisor: an isolated pod has no device that an agent would be nearer to."]
    return [said, "That is the zone supervisor, for want of a pod agent: start one, and the pod is claimed for it."]


def _perhaps_no_device(facts: Facts, owner: str) -> list[str]:
    """Who is named the owner of a pod, and does not know where its device is, does not begin."""
    if facts.zone == ROOT or facts.last is None or (facts.last.event.definition or {}).get("device"):
        return []
    return [f"Its definition names no device: unless {owner} has one of its own (TREEWARD_DEVICE), it cannot begin."]
