"""Policies of waiting units, changed by later `amend` units (ADR 7). A fold over WORK: whoever reads it knows the same.

An amendment is read behind the unit that it changes and is answered behind it, so WORK holds it for as long as the unit
is unanswered: a dispatcher that begins anew reads it again. Policies decide when a unit is marked and whether it moves,
never what happened; so a process that has not heard of the latest costs at most an earlier answer, as with `cancel`.
"""

from typing import NamedTuple

from treeward.schemas.specs import AmendSpec
from treeward.schemas.units import Order, Unit
from treeward.supervision.pending import Pending


class Amendment(NamedTuple):
    """What the latest `amend` left of a unit's policies; `by` is its ticket, 0 until there is one."""

    by: int
    changes: AmendSpec


class Amendments:
    """The amendments of unanswered units, by the ticket that they change."""

    def __init__(self) -> None:
        self._of: dict[int, Amendment] = {}

    def add(self, by: int, unit: Unit) -> None:
        """An `amend` was read: what it names replaces what was said before, field by field."""
        assert unit.ticket is not None, "only a valid amend is read"
        known = self._of.get(unit.ticket)
        said = known.changes.model_dump(exclude_unset=True) if known is not None else {}
        new = AmendSpec.model_validate(unit.spec).model_dump(exclude_unset=True)
        self._of[unit.ticket] = Amendment(by, AmendSpec.model_validate(said | new))

    def apply(self, pending: Pending) -> Pending:
        """The unit with the policies that hold now."""
        amendment, unit = self._of.get(pending.ticket), pending.unit
        if amendment is None or unit is None or amendment.by == pending.amended:
            return pending
        changes = amendment.changes
        told = {name: getattr(changes, name) for name in ("on_failure", "attempts_max") if getattr(changes, name)}
        if changes.order is not None:
            told["order"] = Order(changes.order)
        if "deadline" in changes.model_fields_set:
            told["deadline"] = changes.deadline
        unit = unit.model_copy(update=told)
        deadline_s = unit.deadline.timestamp() if unit.deadline is not None else None
        return pending._replace(unit=unit, deadline_s=deadline_s, amended=amendment.by)

    def drop(self, ticket: int) -> None:
        """The unit has an outcome."""
        self._of.pop(ticket, None)
