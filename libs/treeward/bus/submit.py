"""Handing in a unit of work: published until the stream has confirmed it, always under one message id."""

import asyncio
import json
from collections.abc import Mapping
from typing import Final

from nats.nuid import NUID

from treeward.bus.interface import BusUnavailableError, NoSuchZoneError, Receipt, SubmitRefusedError
from treeward.bus.requests import NO_RESPONDERS, RETRY_WAIT_S, Requests, api_error
from treeward.bus.streams import Streams
from treeward.schemas import streams as names
from treeward.schemas import subjects

ATTEMPT_S: Final = 2.0
_PASSING: Final = frozenset({10008, 10010, 10118, 10164, 10167})


async def submit(
    requests: Requests,
    streams: Streams,
    subject: str,
    data: bytes,
    *,
    headers: Mapping[str, str] | None,
    message_id: str | None,
    timeout_s: float,
) -> Receipt:
    """Publish `data` and return the stream's receipt; see `Bus.submit`. Cancelled, it may or may not be stored."""
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + timeout_s
    headers = {**(headers or {}), "Nats-Msg-Id": message_id or NUID().next().decode()}
    heard = "nothing"
    while (left_s := give_up_s - loop.time()) > 0:
        answer = await requests.ask(subject, data, timeout_s=min(ATTEMPT_S, left_s), headers=headers)
        if answer is not None and answer.status == NO_RESPONDERS:
            heard = "no responders"
            await _check_zone(streams, subject)
        elif answer is not None:
            reply = json.loads(answer.data)
            if (error := api_error(reply)) is None:
                return Receipt(reply["stream"], reply["seq"], bool(reply.get("duplicate")))
            heard = f"{error.description} ({error.code})"
            if error.code not in _PASSING:
                raise SubmitRefusedError(f"{subject}: {heard}")
        await asyncio.sleep(min(RETRY_WAIT_S, max(0.0, give_up_s - loop.time())))
    raise BusUnavailableError(f"{subject}: no receipt within {timeout_s} s; last heard: {heard}")


async def _check_zone(streams: Streams, subject: str) -> None:
    """Tell a zone that nobody has defined from one whose stream has no leader at the moment."""
    zone, _ = subjects.parse_work(subject)
    try:
        state = await streams.state(names.work(zone))
    except BusUnavailableError:
        return
    if state is None:
        raise NoSuchZoneError(f"{subject}: no zone {zone} has been defined")
