"""A row of a zone owner: an address that is nowhere, HERE in PROTOCOL table 2."""

from treeward.schemas.events import Event, EventType
from treeward.supervision.waiting_units import WaitingUnits


class Unplaced(WaitingUnits):
    """An address that this owner answers for: HERE in PROTOCOL table 2."""

    __slots__ = ("away", "came", "committing", "fetching", "in_doubt", "in_doubt_to", "read")

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.fetching = True
        self.away = 0
        """Position of the event that said that it is placed: what came for it waits until a later one is read."""
        self.read: tuple[int, Event] | None = None
        """What was read of it while its last event is being fetched: the answer on its way may be the older one."""
        self.committing = False
        self.came: Event | None = None
        """The `handed_off` by which it came: what existed is made again wherever it is placed."""
        self.in_doubt = 0
        """So many of the units that come next may have begun where it was."""
        self.in_doubt_to = 0

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in hand, waiting or on its way."""
        return (bool(self.away) or not self.fetching) and not self.committing and self.hand is None and not self.queue

    def remember(self, event: Event) -> None:
        """What the last event says of the address, and how it came here."""
        self.recall(event)
        up_to = event.tells_of_up_to
        came = event.type is EventType.HANDED_OFF or event.existed or up_to is None or up_to > event.answered
        self.came = event if came else None
        self.in_doubt = event.in_doubt
        self.in_doubt_to = event.in_doubt_to

    def describe(self, now_s: float) -> dict[str, object]:
        """What is in hand and why it waits, for people who ask."""
        phase = "fetching" if self.fetching else "committing" if self.committing else "unplaced"
        return {"phase": phase} | super().describe(now_s)
