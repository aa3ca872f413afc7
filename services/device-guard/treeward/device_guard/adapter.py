"""What a guard needs of an adapter, and what an adapter promises (docs/device-guard.md).

The guard fences, remembers and serializes; an adapter only acts. It promises three things:

1. When `carry_out` returns, or `end` has returned, nothing of that run acts any more.
2. A call that comes `again` brings about what its operation asks for, whatever an earlier run of the same ticket has
   left, and is `ok` if that was everything.
3. If it tells a `ticket`, that ticket's effect is complete.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import entry_points
from typing import Any, Protocol

from treeward.schemas.address import Address

GROUP = "treeward.adapters"


class UnknownAdapterError(Exception):
    """No adapter of that name is installed, or its arguments are of no use; nothing was started."""


class Verb(StrEnum):
    """What an adapter can be asked."""

    OBSERVE = "observe"
    """Tell what exists; change nothing."""
    CALL = "call"
    """Carry out one operation."""
    MAKE = "make"
    """Make what exists elsewhere, by its definition."""
    MOVE = "move"
    """Bring what exists to another host of this device."""
    REMOVE = "remove"
    """Make sure that nothing of it exists here."""


class Finish(StrEnum):
    """How a run ended."""

    OK = "ok"
    """Done; for a call: applied."""
    REFUSED = "refused"
    """It will not be done, and nothing was changed."""
    UNREACHABLE = "unreachable"
    """What it acts on does not answer, and nothing was changed."""
    FAILED = "failed"
    """It ended halfway, or nobody knows how it ended."""


@dataclass(frozen=True, slots=True)
class State:
    """What exists at an address, as an adapter tells it."""

    exists: bool = False
    definition: dict[str, Any] | None = None
    observed: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Errand:
    """One thing to do. `run` names it: whatever carries that name belongs to it."""

    run: str
    verb: Verb
    address: Address
    host: str | None = None
    life: int = 0
    ticket: int = 0
    operation: str | None = None
    spec: dict[str, Any] | None = None
    definition: dict[str, Any] | None = None
    """MAKE: what to make. CALL: what the guard knows of what exists; of a `restore`, what is to exist again."""
    existed: bool = False
    """CALL: whether it existed when this ticket's call first began."""
    again: bool = False
    """CALL: an earlier run of this very ticket ended halfway, or nobody knows how it ended."""
    trace: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """What came of an errand. `state` None: not told. `ticket`: the last ticket whose effect is complete, if known."""

    finish: Finish
    reason: str | None = None
    state: State | None = None
    ticket: int | None = None
    host: str | None = None


class Adapter(Protocol):
    """What acts on behalf of a guard."""

    async def carry_out(self, errand: Errand) -> Told:
        """Do it and tell what came of it. Never raises for what the outside did. Cancelled: the run is ended first."""

    async def end(self, run: str, *, patience_s: float) -> bool:
        """Return when nothing of that run acts any more, ending it by force after `patience_s`.

        Also for runs of an earlier guard that died. Returns whether there was anything to end.
        """


class Factory(Protocol):
    """What an entry point of `treeward.adapters` names."""

    def __call__(self, arguments: Sequence[str], *, timeout_s: float | None, at_once_max: int) -> Adapter:
        """Make the adapter from the words after `--`; raises UnknownAdapterError with a sentence for the user."""


def load_adapter(name: str, arguments: Sequence[str], *, timeout_s: float | None, at_once_max: int) -> Adapter:
    """Find an adapter by its entry point and make it; raises UnknownAdapterError."""
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        raise UnknownAdapterError(f"there is no adapter {name}; there are {', '.join(sorted(found)) or 'none'}")
    factory: Factory = found[name].load()
    return factory(arguments, timeout_s=timeout_s, at_once_max=at_once_max)
