"""What a zone's owner answers to units about its pods: their definitions are its own, no device knows of them."""

from treeward.schemas.events import Outcome
from treeward.schemas.mailbox import Message
from treeward.schemas.units import complete_spec
from treeward.supervision.process_step import Conclude
from treeward.supervision.unplaced import Unplaced
from treeward.supervision.who_is_where import WhoIsWhere


def obey_pod_unit(
    row: Unplaced, unit: Message, *, zone: str, where: WhoIsWhere, fold_complete: bool
) -> Conclude | None:
    """Carry out a unit on a pod in its row and say how it is answered; None: it waits for the fold of who is where."""
    name = row.key.partition(".")[2]
    if unit.operation == "create":
        if row.definition is not None:
            return Conclude(Outcome.FAILED, f"pod {name} is defined already")
        row.definition = complete_spec("pod", "create", unit.spec)
        return Conclude(Outcome.COMPLETED, None)
    if row.definition is None:
        return Conclude(Outcome.REJECTED, f"no pod {name} is defined in {zone}")
    if unit.operation == "isolate":
        return Conclude(Outcome.COMPLETED, unit.reason)
    if not fold_complete:
        row.reason = "the zone supervisor is still reading who is where"
        return None
    if where.has_anything(name):
        return Conclude(Outcome.FAILED, f"pod {name} still has hosts, or something that was on one")
    row.definition = None
    return Conclude(Outcome.COMPLETED, None)
