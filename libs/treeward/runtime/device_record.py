"""What a device side keeps of one address, and what it answers because of it (PROTOCOL table 4).

Pure decisions: no clock, no I/O. Whoever serves the device protocol keeps one `DeviceRecord` for each address, for
longer than the object, asks it what to do with a request and tells it what happened, without anything in between:
check and act are one step. `decide_x` changes nothing; `become_x` is a transition and asserts that it is legal.
"""

from dataclasses import dataclass
from enum import Enum, auto

from treeward.schemas.address import Address
from treeward.schemas.device import Remembered

ISOLATE_IS_A_CALL = "to isolate a host is a call, with life, owner and ticket; this verb only opens it again (undo)"
"""What `isolate` without a fence is answered: late, it would fence a host that was made anew meanwhile (ADR 14)."""


def no_such_host(address: Address) -> str:
    """Why something that does not exist is not isolated; nothing is fenced by a slip of the pen."""
    return f"{address} does not exist here: there is nothing to isolate"


class Decision(Enum):
    """What to do with a request. FENCED and BUSY are common to both verbs, ACCEPT is synchronize's, the rest call's."""

    FENCED = auto()
    """Refuse it: a higher life was accepted, or this one of another owner."""
    BUSY = auto()
    """Nothing now: a call is in progress that has to end before."""
    ACCEPT = auto()
    """Raise the life (`become_accepted`), then tell the record and what exists."""
    RUN = auto()
    """Carry the call out: `become_begun`, and in the end `become_answered` or `become_broken_off`."""
    REMEMBERED = auto()
    """Answer from memory what this ticket was answered."""
    OLDER = auto()
    """Refuse it: a higher ticket has been answered, and what became of this one is not remembered."""
    JOIN = auto()
    """This very ticket is in progress: answer when it is over, what it is answered."""


@dataclass(slots=True)
class DeviceRecord:
    """The memory that an address has at its device: who may act, what was answered last, what is in progress.

    All numbers are positions of a log (`life`) or of a WORK stream (tickets); 0 means none yet. `remembers` may rise
    when a record is read back, and never fall: its owner may rely on what the device has told.
    """

    high: int = 0
    """Highest life accepted."""
    owner: str | None = None
    """The owner of that life."""
    last: int = 0
    """Last ticket answered, applied or refused."""
    applied: bool = False
    """Whether that ticket was applied; else it was refused."""
    reason: str | None = None
    """Why it was refused."""
    begun: int = 0
    """Highest ticket whose call ever began here. Above `last` it is in progress, or ended halfway."""
    called_in: int = 0
    """The life in which a call last began."""
    in_progress: int | None = None
    """The ticket of the call in progress."""
    remembers: int = 1
    """How many of the tickets answered last are remembered; the owner calls at most so many ahead of the log."""
    recent: tuple[Remembered, ...] = ()
    """Those remembered besides `last`, oldest first."""

    def decide_synchronize(self, *, life: int, owner: str) -> Decision:
        """Choose between FENCED, BUSY and ACCEPT."""
        if self._is_fenced(life, owner):
            return Decision.FENCED
        if self._would_rise_under_a_call(life):
            return Decision.BUSY
        return Decision.ACCEPT

    def decide_call(self, *, life: int, owner: str, ticket: int) -> Decision:
        """Choose what becomes of a call; anything but ACCEPT.

        A ticket is answered once: from memory if it is one of the last, never if it is older. A call that finds another
        ticket in progress is BUSY even in the same life, since calls on one address are serialized.
        """
        if self._is_fenced(life, owner):
            return Decision.FENCED
        if self._would_rise_under_a_call(life):
            return Decision.BUSY
        return self.decide_ticket(ticket)

    def decide_ticket(self, ticket: int) -> Decision:
        """The part of `decide_call` that is about the ticket alone: what a device without a fence would do."""
        if ticket == self.last:
            return Decision.REMEMBERED
        if any(each.ticket == ticket for each in self.recent):
            return Decision.REMEMBERED
        if ticket < self.last:
            return Decision.OLDER
        if ticket == self.in_progress:
            return Decision.JOIN
        if self.in_progress is not None:
            return Decision.BUSY
        return Decision.RUN

    def recall(self, ticket: int) -> Remembered:
        """What a ticket was answered that is REMEMBERED."""
        if ticket == self.last:
            return Remembered(ticket=ticket, applied=self.applied, reason=self.reason)
        return next(each for each in self.recent if each.ticket == ticket)

    def decide_make(self, *, life: int) -> bool:
        """Whether a synchronize of `life` may make what existed elsewhere: only before the first call of that life.

        And not after it was emptied in that life: what has moved away must not come back by itself.
        A copy of the request that was delayed on the way (a connection that was given up, its bytes read late) would
        otherwise make again what a call of the same life has destroyed since.
        """
        return self.called_in < life

    def become_accepted(self, *, life: int, owner: str, emptied: bool = False) -> None:
        """Synchronize: `life` is the highest from now on; `emptied`: nothing of it is to be held here any more."""
        assert self.decide_synchronize(life=life, owner=owner) is Decision.ACCEPT
        self.high = life
        self.owner = owner
        if emptied:
            self.called_in = life

    def become_begun(self, *, life: int, owner: str, ticket: int) -> None:
        """The call of `ticket` begins; the life rises with it."""
        assert self.decide_ticket(ticket) is Decision.RUN
        if life >= self.high:
            self.high = life
            self.owner = owner
        self.begun = max(self.begun, ticket)
        self.called_in = max(self.called_in, life)
        self.in_progress = ticket

    def become_answered(self, *, applied: bool, reason: str | None = None) -> None:
        """The call in progress was applied, or refused with the device unchanged; either is remembered."""
        assert self.in_progress is not None
        self._keep_last()
        self.last = self.in_progress
        self.applied = applied
        self.reason = None if applied else reason
        self.in_progress = None

    def become_broken_off(self) -> None:
        """The call in progress ended without an answer, perhaps halfway: nothing is remembered but that it began."""
        assert self.in_progress is not None
        self.in_progress = None

    def become_withdrawn(self, *, begun: int) -> None:
        """The call in progress turned out to have done nothing at all: as if it had not begun (`begun` as before)."""
        assert self.in_progress is not None and begun <= self.begun
        self.in_progress = None
        self.begun = begun

    def become_found_applied(self) -> None:
        """What became of the call that ended halfway was found out: it had taken effect, the last step of it too."""
        assert self.in_progress is None and self.begun > self.last
        self._keep_last()
        self.last = self.begun
        self.applied = True
        self.reason = None

    def why(self, decision: Decision) -> str:
        """Why a request is turned away."""
        match decision:
            case Decision.FENCED:
                return f"life {self.high} of {self.owner} was accepted"
            case Decision.OLDER:
                return f"ticket {self.last} has been answered"
            case _:
                return f"ticket {self.in_progress} is in progress"

    def _keep_last(self) -> None:
        """Another ticket becomes the last one: the one before is kept, and the oldest forgotten."""
        if self.last:
            known = (*self.recent, self.recall(self.last))
            self.recent = known[max(0, len(known) - (self.remembers - 1)) :]

    def _is_fenced(self, life: int, owner: str) -> bool:
        if life < self.high:
            return True
        return life == self.high and self.owner is not None and owner != self.owner

    def _would_rise_under_a_call(self, life: int) -> bool:
        return self.in_progress is not None and life > self.high
