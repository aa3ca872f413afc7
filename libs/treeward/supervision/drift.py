"""Whether others have changed what exists, and what is done about it. Pure; nothing is changed here.

What is desired is what the last answered unit has left: the `definition` of the resource's last event. A device that
reports something else, although nobody has asked it for anything since, was changed by others. While a unit is in hand,
in doubt or waiting, or the resource moves, nobody can tell, and nothing is said.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

from treeward.schemas.device import Answer, Status
from treeward.schemas.events import Drift, Event
from treeward.schemas.policies import OnDrift
from treeward.supervision.events import at
from treeward.supervision.policies import Said, effective


class Desired(NamedTuple):
    """What is to exist, as of the last ticket answered."""

    definition: dict[str, Any] | None
    answered: int


class Found(NamedTuple):
    """What the device reports instead."""

    exists: bool
    definition: dict[str, Any] | None


class Nothing(NamedTuple):
    """There is nothing to say: the device agrees, or it was said before."""


class Report(NamedTuple):
    """Say in the log how the device differs."""

    drift: Drift


class Accept(NamedTuple):
    """What the device reports is what is desired from now on."""

    drift: Drift


def desired_by(event: Event) -> Desired | None:
    """What a placed resource's last event says is to exist; None: that is not settled, or somebody looks after it."""
    settled = event.ticket is None or event.is_outcome
    if not settled or event.existed or event.removed or event.quarantined or event.definition is None:
        return None
    return Desired(event.definition, event.answered)


def standing_drift(event: Event) -> Drift | None:
    """The difference that an event says there is; what it says to be accepted is none any more."""
    return event.drift if event.drift is not None and event.drift.policy is not OnDrift.ACCEPT else None


def find_drift(desired: Desired, answer: Answer) -> Found | None:
    """How a device that tells what exists differs from what is desired; None: it does not, or nobody can tell.

    A ticket beyond those answered that the device has begun is a unit in hand or in doubt: that explains it.
    """
    if answer.status is not Status.OK or desired.definition is None:
        return None
    if answer.last > desired.answered or answer.begun > desired.answered:
        return None
    if answer.exists and answer.definition == desired.definition:
        return None
    return Found(answer.exists, answer.definition if answer.exists else None)


def decide_drift(
    found: Found, known: Drift | None, policy: OnDrift, *, answered: int, busy: bool, now_s: float
) -> Nothing | Report | Accept:
    """Choose what is done about a difference that was found. `known`: what the log says of it already.

    While units wait or one is in hand (`busy`) they come first, and what they make of it nobody knows yet: it is only
    reported. A restoration is asked for again only after the last one, or something else, was answered.
    """
    same = known is not None and (known.exists, known.definition) == found
    if same and known is not None:
        asked_for = policy is not OnDrift.RESTORE or known.answered == answered
        if busy or (known.policy is policy and asked_for and policy is not OnDrift.ACCEPT):
            return Nothing()
    done = OnDrift.REPORT if busy else policy
    since = known.since if same and known is not None else at(now_s)
    drift = Drift(exists=found.exists, definition=found.definition, since=since, policy=done, answered=answered)
    return Accept(drift) if done is OnDrift.ACCEPT else Report(drift)


def policy_of(kind: str, chain: Iterable[Said]) -> OnDrift:
    """The policy that holds for a resource: what nobody says is `report`; what cannot be read counts as not said."""
    value = effective("on_drift", kind, chain)
    return OnDrift(value) if value in tuple(OnDrift) else OnDrift.REPORT
