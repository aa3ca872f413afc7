"""The readers of one beginning: a loss is told once, nothing after their end, and what begins too late ends at once."""

from tests.support.two_buses import ZONE, CarryOut, submit
from tests.support.until import until

from treeward.bus.interface import Bus, Stored
from treeward.runtime.readers import Readers
from treeward.schemas import streams, subjects

WORK, ALL = streams.work(ZONE), subjects.work_of_zone(ZONE)
BEYOND = 9
"""Who reads from behind the end has lost what was there: the stream was made anew."""


def test_two_readers_that_lose_something_tell_of_it_once(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        await submit(bus, b"1", b"2", b"3")
        told: list[bool] = []
        both: list[Stored] = []
        readers = Readers(bus, lambda: told.append(True))
        for _ in range(2):
            await readers.read(WORK, ALL, BEYOND, both.append)
        await until(lambda: told)
        behind: list[Stored] = []
        await readers.read(WORK, ALL, 1, behind.append)
        await until(lambda: behind)
        assert (told, both) == ([True], []), "the others have lost what they were to read, and end"
        await readers.close()

    carry_out(scenario)


def test_after_their_end_nothing_is_read_and_no_loss_is_told(carry_out: CarryOut) -> None:
    async def scenario(bus: Bus, _other: Bus) -> None:
        await submit(bus, b"1", b"2", b"3")
        told: list[bool] = []
        late: list[Stored] = []
        readers = Readers(bus, lambda: told.append(True))
        await readers.close()
        await readers.read(WORK, ALL, BEYOND, late.append)
        await readers.read(WORK, ALL, 1, late.append)
        still: list[Stored] = []
        other = Readers(bus, lambda: None)
        await other.read(WORK, ALL, 1, still.append)
        await until(lambda: still)
        assert (told, late) == ([], [])
        await other.close()

    carry_out(scenario)
