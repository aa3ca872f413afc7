"""Waiting for something to become true."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

POLL_S = 0.01
T = TypeVar("T")


@overload
async def until(condition: Callable[[], Awaitable[T | None]], what: str = "", timeout_s: float = 30.0) -> T: ...
@overload
async def until(condition: Callable[[], T | None], what: str = "", timeout_s: float = 30.0) -> T: ...
async def until(
    condition: Callable[[], Awaitable[T | None]] | Callable[[], T | None], what: str = "", timeout_s: float = 30.0
) -> T:
    """What `condition` says as soon as it holds; fails the test if it does not within `timeout_s` seconds."""
    give_up_s = asyncio.get_running_loop().time() + timeout_s
    while True:
        said = condition()
        held = await said if inspect.isawaitable(said) else said
        if held:
            return held
        assert asyncio.get_running_loop().time() < give_up_s, f"not within {timeout_s} s: {what or condition}"
        await asyncio.sleep(POLL_S)
