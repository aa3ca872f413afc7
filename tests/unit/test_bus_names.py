"""A server's address is known also while nobody answers for names."""

import asyncio

import pytest

from treeward.bus.names import Names


class Book:
    """Answers for names, until it does not."""

    def __init__(self) -> None:
        self.addresses = {"nats-0.nats": "10.0.0.1"}
        self.silent = False

    async def __call__(self, host: str) -> str:
        if self.silent:
            await asyncio.Event().wait()
        if host not in self.addresses:
            raise OSError(f"no such name: {host}")
        return self.addresses[host]


async def test_a_name_is_asked_for_each_time() -> None:
    book = Book()
    names = Names(book)
    assert await names.address_of("nats-0.nats") == "10.0.0.1"
    book.addresses["nats-0.nats"] = "10.0.0.2"
    assert await names.address_of("nats-0.nats") == "10.0.0.2"


@pytest.mark.parametrize("way", ["says no", "says nothing"])
async def test_the_last_address_is_used_when_there_is_no_answer(way: str) -> None:
    book = Book()
    names = Names(book)
    await names.address_of("nats-0.nats")
    book.silent = way == "says nothing"
    book.addresses.clear()
    assert await names.address_of("nats-0.nats") == "10.0.0.1"
    with pytest.raises(OSError, match="no such name") if way == "says no" else pytest.raises(TimeoutError):
        async with asyncio.timeout(2.0):
            await names.address_of("never-heard-of")


async def test_servers_to_which_there_was_never_a_connection_are_known_too() -> None:
    book = Book()
    book.addresses["nats-1.nats"] = "10.0.0.7"
    names = Names(book)
    await names.learn(["nats-0.nats", "nats-1.nats", "unheard-of"])
    book.addresses["nats-1.nats"] = "10.0.0.8"  # it was restarted
    await names.learn(["nats-1.nats"])
    book.silent = True
    assert [await names.address_of(f"nats-{number}.nats") for number in (0, 1)] == ["10.0.0.1", "10.0.0.8"]


async def test_an_address_needs_nobody() -> None:
    book = Book()
    book.silent = True
    assert await Names(book).address_of("127.0.0.1") == "127.0.0.1"
    assert await Names(book).address_of("::1") == "::1"
