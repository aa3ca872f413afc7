"""A unit as a dispatcher holds it while it is near the head of its queue."""

from datetime import UTC, datetime
from typing import NamedTuple

from treeward.schemas.construct import constructor
from treeward.schemas.events import Outcome
from treeward.schemas.mailbox import Mark, Message
from treeward.schemas.policies import Conflict
from treeward.schemas.units import STEERING, InvalidUnitError, OnFailure, Order, Unit, parse_unit

STEERS_DISPATCH = frozenset({"cancel", "pause", "resume", "release", "retry", "amend"})
_message = constructor(Message)


class Pending(NamedTuple):
    """A ticket with what was submitted; `problem` says why it is no unit of work, then `unit` is None."""

    ticket: int
    unit: Unit | None
    problem: str | None
    trace: str | None
    stored_s: float
    deadline_s: float | None
    amended: int = 0
    """The ticket of the latest `amend` that has changed its policies."""

    @property
    def after(self) -> list[int]:
        """Tickets that must be settled first."""
        return self.unit.after if self.unit is not None else []

    @property
    def fails(self) -> bool:
        """Whether a crash with it in hand is its end."""
        return self.unit is not None and self.unit.on_failure is OnFailure.FAIL

    @property
    def reallocate(self) -> bool:
        """Whether it would rather move than wait."""
        return self.unit is not None and self.unit.on_failure is OnFailure.REALLOCATE

    @property
    def attempts_max(self) -> int:
        """Lives in which it may be called without an answer."""
        return self.unit.attempts_max if self.unit is not None else 1

    def is_at_its_end(self, attempts_ticket: int, now_s: float) -> bool:
        """Whether its policies may end it now: a passed deadline, or a crash with it in hand."""
        return attempts_ticket == self.ticket or (self.deadline_s is not None and self.deadline_s <= now_s)

    @property
    def supersedes(self) -> bool:
        """Whether it makes what has not started before it superfluous."""
        return self.unit is not None and self.unit.order is Order.SUPERSEDE

    def supersedes_under(self, order: str | None) -> bool:
        """The same under the conflict policy of its resource: what steers is not meant, and its own `order` wins."""
        unit = self.unit
        if unit is None or self.supersedes or unit.operation in STEERING or "order" in unit.model_fields_set:
            return self.supersedes
        return order == Conflict.SUPERSEDE or (order == Conflict.DESTROY_SUPERSEDES and unit.operation == "destroy")

    @property
    def pauses(self) -> bool:
        """Whether nothing is sent from behind it until a later resume is read."""
        return self.unit is not None and self.unit.operation == "pause"

    @property
    def steers_dispatch(self) -> bool:
        """Whether reading it already changes what is sent."""
        return self.unit is not None and (self.unit.operation in STEERS_DISPATCH or self.supersedes)


def read_pending(zone: str, key: str, ticket: int, body: bytes, trace: str | None, stored_s: float) -> Pending:
    """Read a stored body at the door: what cannot be a unit becomes one that is answered `rejected`."""
    try:
        unit = parse_unit(body, zone=zone, key=key, ticket=ticket)
        deadline_s = unit.deadline.timestamp() if unit.deadline is not None else None
        if deadline_s is not None and deadline_s <= stored_s:
            accepted = datetime.fromtimestamp(stored_s, UTC).isoformat(timespec="milliseconds")
            raise InvalidUnitError(
                f"deadline: {unit.deadline} was already past when the unit was accepted, at {accepted}"
            )
    except InvalidUnitError as error:
        return Pending(ticket, None, str(error), trace, stored_s, None)
    return Pending(ticket, unit, None, trace, stored_s, deadline_s)


def said_by(unit: Unit) -> str | None:
    """Why, and who asked for it: `new memory (by ada)`."""
    who = f"by {unit.by}" if unit.by else None
    return f"{unit.reason} ({who})" if unit.reason and who else unit.reason or who


def mark_after_crash(pending: Pending, attempts: int) -> Mark | None:
    """The recovery policy of a unit whose process crashed with it in hand (PROTOCOL table 1, `crashed`)."""
    if attempts == 0 or (not pending.fails and attempts < pending.attempts_max):
        return None
    policy = "its policy is to fail" if pending.fails else f"attempts_max is {pending.attempts_max}"
    return Mark(outcome=Outcome.FAILED, reason=f"its process crashed {attempts} times with it in hand; {policy}")


def message_of(
    pending: Pending,
    *,
    epoch: int,
    life: int,
    previous: int,
    seen: int,
    released: int,
    attempts: int,
    mark: Mark | None,
    now_s: float,
) -> Message:
    """The unit as it is sent to a process in one life."""
    unit = pending.unit
    return _message(
        {
            "epoch": epoch,
            "life": life,
            "ticket": pending.ticket,
            "previous": previous,
            "seen": seen,
            "released": released,
            "attempts": attempts,
            "mark": mark,
            "operation": unit.operation if unit is not None else "",
            "spec": unit.spec if unit is not None else None,
            "deadline_s": pending.deadline_s,
            "reallocate": pending.reallocate,
            "amended": pending.amended,
            "reason": said_by(unit) if unit is not None else None,
            "trace": None,
            "sent_s": now_s,
        }
    )
