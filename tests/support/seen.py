"""What a reader of a stream has delivered."""

from tests.support.until import until

from treeward.bus.interface import Bus, Reader, Since, Start, Stored


class Seen:
    """The messages in their order, how often some were lost, and when (by their number) it had caught up."""

    def __init__(self) -> None:
        self.messages: list[Stored] = []
        self.lost = 0
        self.caught_up_at: list[int] = []

    async def read(
        self,
        bus: Bus,
        stream: str,
        subject: str = ">",
        start: int | Start | Since = 1,
        *,
        purged_is_fine: bool = False,
    ) -> Reader:
        def lose() -> None:
            self.lost += 1

        return await bus.read(
            stream,
            subject,
            start,
            self.messages.append,
            on_lost=lose,
            on_caught_up=lambda: self.caught_up_at.append(len(self.messages)),
            purged_is_fine=purged_is_fine,
        )

    @property
    def positions(self) -> list[int]:
        return [stored.position for stored in self.messages]

    @property
    def bodies(self) -> list[bytes]:
        return [stored.data for stored in self.messages]

    async def until(self, position: int) -> None:
        """Wait for the message with that position."""
        await until(lambda: position in self.positions, f"position {position}")

    async def until_count(self, count: int) -> None:
        """Wait for so many messages, or more."""
        await until(lambda: len(self.messages) >= count, f"{count} messages")
