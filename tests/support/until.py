"""Waiting for something to become true."""

import asyncio
from collections.abc import Callable

POLL_S = 0.01


async def until(condition: Callable[[], object], what: str = "", timeout_s: float = 30.0) -> None:
    """Return when `condition` holds; fails the test if it does not within `timeout_s` seconds."""
    give_up_s = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        assert asyncio.get_running_loop().time() < give_up_s, f"not within {timeout_s} s: {what or condition}"
        await asyncio.sleep(POLL_S)
