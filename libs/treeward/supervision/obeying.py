"""What a completed unit changes in the process itself: whether it is paused, whether it drains, its policies. Pure."""

from typing import Any, Protocol

from treeward.schemas.mailbox import Message
from treeward.supervision.policies import configured


class Steered(Protocol):
    """A row: of a process, or of an address that is nowhere."""

    paused: bool
    draining: bool
    isolated: bool
    policies: dict[str, Any] | None


def obey(row: Steered, unit: Message) -> bool:
    """Take over what the unit says of its process; True: its policies are others now."""
    match unit.operation:
        case "pause":
            row.paused = True
        case "resume":
            row.paused = row.draining = False
        case "drain":
            row.draining = True
        case "isolate":
            row.isolated = row.draining = True
        case "configure":
            row.policies = configured(row.policies, unit.spec)
            return True
        case "create":
            row.policies = configured(None, (unit.spec or {}).get("policies"))
            return True
        case "destroy":
            row.policies = None
            row.draining = row.isolated = False  # what is made again under that name is not what was emptied
            return True
    return False
