"""What an owner or dispatcher reads: its readers end together, and that one has lost something is told once."""

from collections.abc import Callable

from treeward.bus.interface import Bus, Reader, Start, Stored


class Readers:
    """The readers of one beginning; whoever begins anew makes others. `lost` is not told any more after `close`."""

    def __init__(self, bus: Bus, lost: Callable[[], None]) -> None:
        self._bus = bus
        self._lost = lost
        self._reading: list[Reader] = []
        self._told = False
        self._over = False

    async def read(
        self,
        stream: str,
        subject: str,
        start: int | Start,
        deliver: Callable[[Stored], None],
        caught_up: Callable[[], None] | None = None,
        *,
        purged_is_fine: bool = False,
    ) -> Reader:
        """Begin to read, as `Bus.read` does; what begins when all have ended is closed at once. Raises BusError."""
        reader = await self._bus.read(
            stream,
            subject,
            start,
            deliver,
            on_lost=self._on_lost,
            on_caught_up=caught_up,
            purged_is_fine=purged_is_fine,
        )
        self._reading.append(reader)
        if self._over:
            await reader.close()
        return reader

    def _on_lost(self) -> None:
        if not (self._told or self._over):
            self._told = True
            self._lost()

    async def close(self) -> None:
        """End them all."""
        self._over = True
        for reader in self._reading:
            await reader.close()
