"""What exists in a zone: the last event of each resource of a kind, read from the live log.

The bucket is asked only for what has aged out of the log: after a fault of a server it may stand still for a while.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from treeward.bus.interface import Bus, Start, Stored
from treeward.cli.output import UNAVAILABLE, CommandError
from treeward.schemas import streams, subjects
from treeward.schemas.events import Event

READ_S = 60.0


@dataclass(slots=True)
class Last:
    """The last event of a resource, and its position in the log (0: only the bucket has it)."""

    position: int
    event: Event


async def last_events(bus: Bus, zone: str, kind: str) -> dict[str, Last]:
    """The last event of every resource of a kind, by key; `*` for every kind. Raises NoSuchZoneError."""
    found: dict[str, Last] = {}

    def from_bucket(stored: Stored) -> None:
        _put(found, 0, stored.data)

    def from_log(stored: Stored) -> None:
        _put(found, stored.position, stored.data)

    await _read(bus, streams.state(zone), streams.state_subject(zone, f"{kind}.*"), from_bucket)
    await _read(bus, streams.log(zone), subjects.log(zone, f"{kind}.*", "*"), from_log)
    return found


async def definitions(bus: Bus, zone: str, kinds: tuple[str, ...]) -> dict[str, dict[str, Any]]:
    """The definition of everything of these kinds that exists, by key; its policies are put into it."""
    found: dict[str, dict[str, Any]] = {}
    for kind in kinds:
        for key, last in (await last_events(bus, zone, kind)).items():
            if last.event.definition is not None:
                policies = {"policies": last.event.policies} if last.event.policies else {}
                found[key] = last.event.definition | policies
    return found


def _put(found: dict[str, Last], position: int, data: bytes) -> None:
    if not data:  # a purge marker of the bucket
        return
    event = Event.model_validate_json(data)
    known = found.get(event.key)
    if known is None or position > known.position:
        found[event.key] = Last(position, event)


async def _read(bus: Bus, stream: str, subject_filter: str, deliver: Callable[[Stored], None]) -> None:
    done = asyncio.Event()
    lost = False

    def on_lost() -> None:
        nonlocal lost
        lost = True
        done.set()

    reader = await bus.read(
        stream, subject_filter, Start.LAST_PER_SUBJECT, deliver,
        on_lost=on_lost, on_caught_up=done.set, purged_is_fine=True,
    )  # fmt: skip
    try:
        async with asyncio.timeout(READ_S):
            await done.wait()
    except TimeoutError:
        raise CommandError(f"{stream} could not be read within {READ_S:g} s", UNAVAILABLE) from None
    finally:
        await reader.close()
    if lost:
        raise CommandError(f"{stream} changed too fast to be read; try again", UNAVAILABLE)
