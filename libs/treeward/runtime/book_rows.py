"""The rows that a run leaves behind, as they were read: what the judge judges."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from treeward.schemas.events import Event


class Submitted(NamedTuple):
    """A unit as WORK accepted it."""

    zone: str
    key: str
    ticket: int
    at_s: float


class Logged(NamedTuple):
    """An event as the log has it."""

    position: int
    at_s: float
    event: Event


class DeviceCall(NamedTuple):
    """A row of the device's journal (table `calls`, docs/device-simulator.md)."""

    id: int
    zone: str
    kind: str
    resource: str
    operation: str
    ticket: int | None
    life: int | None
    owner: str | None
    started_at: float
    ended_at: float | None
    effect: int
    outcome: str
    effect_number: int | None

    @property
    def address(self) -> tuple[str, str]:
        """Zone and key."""
        return self.zone, f"{self.kind}.{self.resource}"


class DeviceResource(NamedTuple):
    """Something that exists on the device."""

    zone: str
    key: str
    state: str


@dataclass(frozen=True, slots=True)
class Books:
    """Everything that was written down of a run, complete, in any order."""

    submitted: Sequence[Submitted]
    log: Sequence[Logged]
    calls: Sequence[DeviceCall]
    resources: Sequence[DeviceResource]
