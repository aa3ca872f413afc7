"""What an owner has decided and nobody has taken yet."""

from treeward.schemas.events import Event
from treeward.supervision.effects import Append, Effect
from treeward.supervision.pod_owner import PodOwner
from treeward.supervision.zone_owner import ZoneOwner


def take(owner: PodOwner | ZoneOwner) -> list[Effect]:
    """Take it, in order."""
    effects, owner.effects = owner.effects, []
    return effects


def said(effects: list[Effect]) -> Event:
    """The only event that is to be appended; fails the test if there is another one, or none."""
    (event,) = (event for effect in effects if isinstance(effect, Append) for event in effect.events)
    return event
