"""What one event says of its resource, and which life follows from it (DESIGN section 2, life)."""

from treeward.schemas.address import SUPERVISED_KINDS
from treeward.schemas.events import Event, EventType


def pod_of(event: Event) -> str | None:
    """The pod whose owner answers for the resource after this event; None: the zone supervisor does.

    "Until it has appended handed_off, or an outcome with removed" (DESIGN section 4, who owns an address). A
    zone or pod is never placed: its supervisor answers for it.
    """
    if event.removed or event.type is EventType.HANDED_OFF or event.kind in SUPERVISED_KINDS:
        return None
    return event.pod


def began_at(event: Event, position: int) -> int:
    """The position at which the resource's own life began as far as this event tells; a later claim overrules it."""
    if event.type in (EventType.PLACED, EventType.CRASHED):
        return position
    return event.life
