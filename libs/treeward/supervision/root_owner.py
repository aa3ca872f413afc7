"""The owner of root: zones are its resources, and a zone's definition is a unit of work to it."""

from treeward.schemas.events import Outcome
from treeward.schemas.mailbox import Message
from treeward.schemas.units import complete_spec
from treeward.supervision.effects import Provision
from treeward.supervision.obeying import obey
from treeward.supervision.unplaced import Unplaced
from treeward.supervision.zone_owner import ZoneOwner


class RootOwner(ZoneOwner):
    """Answers units on zones. Making a zone's streams is repeatable, so a takeover in the middle just does it again."""

    def on_provisioned(self, zone: str, problem: str | None, now_s: float) -> None:
        """The streams of a zone are there; or why they are not."""
        row = self.rows.get(f"zone.{zone}")
        if row is None or row.hand is None or row.committing:
            return
        if problem is not None:
            self._answer(row, Outcome.FAILED, problem, now_s)
            return
        row.definition = complete_spec("zone", "create", row.hand.spec)
        obey(row, row.hand)
        self._answer(row, Outcome.COMPLETED, None, now_s)

    def _supervise(self, row: Unplaced, unit: Message, now_s: float) -> None:
        name = row.key.partition(".")[2]
        if unit.operation == "create":
            if row.definition is not None:
                self._answer(row, Outcome.FAILED, f"zone {name} is defined already", now_s)
            else:
                self.effects.append(Provision(name))
        elif row.definition is None:
            self._answer(row, Outcome.REJECTED, f"no zone {name} is defined", now_s)
        else:
            # Its streams stay: what is in them is the record of what happened, and only a person may throw that away.
            row.definition = None
            obey(row, unit)
            self._answer(row, Outcome.COMPLETED, None, now_s)
