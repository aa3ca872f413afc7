"""How far a move has come."""

from dataclasses import dataclass

from treeward.schemas.places import PlaceSaid


@dataclass(slots=True)
class Move:
    """How far a unit has come in moving its resource. It ends with the life that it is in."""

    ticket: int
    said: PlaceSaid
    leaving: bool = False
    """The intention is in the log."""
    reason: str = "moves to another device"
    waited: bool = False
    """Its place is one that was tried before: it goes there after a pause, and that has begun."""
    emptied: bool = False
    """The device has said, after that, that it holds nothing of it."""
