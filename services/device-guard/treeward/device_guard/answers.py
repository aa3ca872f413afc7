"""What a guard tells: one line of JSON for each request, with the record and what exists."""

from typing import Any, Protocol

import pydantic_core

from treeward.device_guard.record_file import Kept
from treeward.schemas.device import Status


class Caller(Protocol):
    """Where an answer goes; the connection may be gone by then."""

    def deliver(self, line: bytes) -> None:
        """Send one line."""


def say(caller: Caller, fields: dict[str, Any]) -> None:
    """Send one answer."""
    caller.deliver(pydantic_core.to_json(fields, exclude_none=True) + b"\n")


def tell(caller: Caller, seq: int, status: Status, kept: Kept, reason: str | None, *, isolated: bool) -> None:
    """Answer with the record and what exists."""
    record, state = kept.record, kept.state
    fields: dict[str, Any] = {
        "seq": seq, "status": status.value, "reason": reason, "high": record.high, "owner": record.owner,
        "last": record.last, "last_applied": record.applied, "last_reason": record.reason, "begun": record.begun,
        "exists": state.exists, "definition": state.definition, "observed": state.observed, "isolated": isolated,
    }  # fmt: skip
    say(caller, fields)
