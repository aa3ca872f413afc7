"""Which supervisors above a resource have asked theirs for help, and what is done about that: a pod's owner its zone's,
a zone's owner root's (ADR 12)."""

from dataclasses import replace

from pydantic import BaseModel, ConfigDict, ValidationError

from treeward.bus.interface import Bus
from treeward.orchestrator.api.facts import Asking, Facts
from treeward.orchestrator.api.presences import Presences
from treeward.orchestrator.api.words import ago, span
from treeward.schemas import subjects
from treeward.schemas.address import ROOT, ZONE_PARTITION


class Does(BaseModel):
    """What a supervisor says that it does about a branch below it."""

    model_config = ConfigDict(extra="ignore")

    hopeless: bool = False
    claim_in_s: float | None = None
    quarantine_in_s: float | None = None


class _Says(BaseModel):
    model_config = ConfigDict(extra="ignore")

    help: Does | None = None


async def with_asking(bus: Bus, presences: Presences, facts: Facts, *, timeout_s: float) -> Facts:
    """The same facts and who asks for help; supervisors are asked only if somebody does."""
    found = []
    for branch in _branches_of(facts):
        epoch = facts.owner.epoch if facts.owner.name == branch else presences.epoch_of(branch)
        asks = presences.asking(branch, epoch)
        if asks is not None:
            does = await _ask_parent(bus, branch, timeout_s)
            found.append(asking_of(branch, asks[0], asks[1], does, facts.now_s))
    return replace(facts, asking=tuple(found)) if found else facts


def _branches_of(facts: Facts) -> list[str]:
    """The branches that it is in, from the narrowest on."""
    kind, _, id_ = facts.key.partition(".")
    if facts.zone == ROOT:
        return [id_] if id_ != ROOT else []
    pod = id_ if kind == "pod" else facts.pod
    return [*([f"{facts.zone}.{pod}"] if pod is not None else []), facts.zone]


async def _ask_parent(bus: Bus, branch: str, timeout_s: float) -> Does | None:
    zone, _, pod = branch.partition(".")
    above, key = (zone, f"pod.{pod}") if pod else (ROOT, f"zone.{zone}")
    reply = await bus.request(subjects.owner_api("explain", above, ZONE_PARTITION), key.encode(), timeout_s=timeout_s)
    try:
        return _Says.model_validate_json(reply or b"{}").help
    except ValidationError:
        return None


def asking_of(branch: str, reason: str, since_s: float, does: Does | None, now_s: float) -> Asking:
    """What was heard and what was answered, as facts."""
    if does is None:
        return Asking(branch, reason, since_s, answered=False)
    claim_s = now_s + does.claim_in_s if does.claim_in_s is not None else None
    quarantine_s = now_s + does.quarantine_in_s if does.quarantine_in_s is not None else None
    return Asking(branch, reason, since_s, does.hopeless, claim_s, quarantine_s)


def asking_in_words(facts: Facts) -> list[str]:
    """One sentence for each that asks: of whom, why, and what comes of it."""
    return [_sentence(facts, each) for each in facts.asking]


def _sentence(facts: Facts, asking: Asking) -> str:
    zone, _, pod = asking.branch.partition(".")
    branch, parent = (f"pod {pod}", "the zone supervisor") if pod else (f"zone {zone}", "root's owner")
    said = f"The owner of {branch} asked {parent} for help {ago(facts.now_s - asking.since_s)}: {asking.reason};"
    if asking.claim_s is not None:
        when = f"in {span(asking.claim_s - facts.now_s)}" if asking.claim_s > facts.now_s else "now"
        return f"{said} {branch} is claimed anew {when}, for another instance if there is one."
    if asking.quarantine_s is not None:
        waits = f"in {span(asking.quarantine_s - facts.now_s)} it is quarantined"
        return f"{said} no further claim of it would help, and {waits} unless root gives the zone to another before."
    if asking.hopeless:
        return f"{said} no further claim of it would help, and it is quarantined."
    if not asking.answered:
        return f"{said} nothing is known yet of what is done about it."
    return f"{said} it is claimed anew as soon as there is another instance."
