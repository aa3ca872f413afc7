"""The addresses of a guard while it runs, and which hosts are isolated."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from treeward.device_guard.answers import Caller, tell
from treeward.device_guard.record_file import Kept, RecordFile
from treeward.schemas.address import Address
from treeward.schemas.device import Status


@dataclass(slots=True)
class Place:
    """One address while the guard runs."""

    kept: Kept
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    queued: int = 0
    waiting: list[tuple[Caller, int]] = field(default_factory=list)
    """Who waits for the call in progress."""
    isolated: bool = False
    """The run in progress is not to begin, or was ended, because of `isolate`."""


class Places:
    """What the file has, and what was asked for since."""

    def __init__(self, file: RecordFile) -> None:
        self._file = file
        kept, self._isolated = file.load()
        self._places = {address: Place(one) for address, one in kept.items()}

    def __iter__(self) -> Iterator[Place]:
        return iter(self._places.values())

    def at(self, address: Address) -> Place:
        """The place of an address; a new one, if nobody has asked for it yet."""
        place = self._places.get(address)
        if place is None:
            place = self._places[address] = Place(Kept(address))
        return place

    def forget(self, place: Place) -> None:
        """Nobody but curiosity has ever asked for it."""
        self._places.pop(place.kept.address, None)

    @property
    def isolated(self) -> list[Address]:
        """The hosts that are isolated."""
        return [Address(zone, "host", host) for zone, host in self._isolated]

    def is_isolated(self, kept: Kept, host: str | None = None) -> bool:
        """Whether it is on an isolated host, or meant for one; the host itself can always be asked."""
        return kept.address.kind != "host" and (kept.address.zone, host or kept.host) in self._isolated

    async def isolate(self, host: Kept) -> list[str]:
        """Fence a host, on the disk together with its record; returns the runs in progress there, to be ended."""
        name = (host.address.zone, host.address.id)
        self._file.set_isolated(*name, True)
        await self._file.save(host)
        self._isolated.add(name)
        runs = []
        for other in self._places.values():
            if other.kept.run is not None and self.is_isolated(other.kept):
                other.isolated = True
                runs.append(other.kept.run)
        return runs

    def open_anew(self, address: Address) -> None:
        """It was destroyed. If it was an isolated host, the next one of its name is open; on the disk when saved."""
        name = (address.zone, address.id)
        if address.kind == "host" and name in self._isolated:
            self._isolated.discard(name)
            self._file.set_isolated(*name, False)

    async def save(self, kept: Kept) -> None:
        """Return when it is on the disk."""
        await self._file.save(kept)

    def answer(
        self, caller: Caller, seq: int, status: Status, kept: Kept, reason: str | None = None, *, isolated: bool = False
    ) -> None:
        """Tell the record and what exists; of a host also that it is isolated."""
        zone, kind, name = kept.address
        tell(
            caller, seq, status, kept, reason, isolated=isolated or (kind == "host" and (zone, name) in self._isolated)
        )

    def answer_isolated(self, caller: Caller, seq: int, kept: Kept, host: str | None) -> None:
        """Nothing is done on an isolated host."""
        self.answer(caller, seq, Status.UNREACHABLE, kept, f"host {host or kept.host} is isolated", isolated=True)
