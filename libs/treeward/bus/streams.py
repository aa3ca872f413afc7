"""Questions to JetStream about a stream and its messages."""

import asyncio
import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from treeward.bus.interface import BusError, BusUnavailableError, NoSuchZoneError, Stored, StreamState
from treeward.bus.requests import (
    NO_RESPONDERS,
    RETRY_WAIT_S,
    STREAM_NOT_FOUND,
    Requests,
    api_error,
    is_settled,
)
from treeward.bus.wire import parse_headers, parse_time_s

TIMEOUT_S: Final = 5.0
_NO_MESSAGE_FOUND: Final = 10037
_DIRECT_HEADERS: Final = ("Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp", "Nats-Last-Sequence")


class Streams:
    """What the server keeps; every question is repeated for 5 s before BusUnavailableError is raised."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._reached: dict[str, int] = {}
        """The highest last position that a stream's leader has told us; every later leader has it too."""
        self._single: set[str] = set()
        """Streams of one replica, which cannot be behind themselves."""

    async def info(self, stream: str, *, timeout_s: float = TIMEOUT_S) -> Mapping[str, Any] | None:
        """The server's description of a stream, from its leader; None if there is no such stream."""
        info = await self._api(f"STREAM.INFO.{stream}", {}, missing=STREAM_NOT_FOUND, timeout_s=timeout_s)
        if info is not None:
            self._reached[stream] = info["state"]["last_seq"]
            (self._single.add if info["config"]["num_replicas"] == 1 else self._single.discard)(stream)
        return info

    async def state(self, stream: str) -> StreamState | None:
        """The positions of a stream, from its leader; None if there is no such stream."""
        info = await self.info(stream)
        if info is None:
            return None
        state = info["state"]
        return StreamState(
            first=state["first_seq"],
            last=state["last_seq"],
            messages=state["messages"],
            created_s=parse_time_s(info["created"]),
            replicas=info["config"]["num_replicas"],
            majority_age_s=_majority_age_s(info),
        )

    async def last(self, stream: str, subject_filter: str, *, at_least: int = 0) -> Stored | None:
        """The last message on a subject or wildcard, from a replica that has position `at_least`.

        Any replica may answer if what it found proves that it has got that far; the server has no field to demand it
        (`min_last_seq` is ignored by 2.15.1), so what proves nothing is asked again of the leader.
        """
        question = {"last_by_subj": subject_filter}
        found = await self._direct(stream, question)
        if at_least == 0 or stream in self._single or (found is not None and found.position >= at_least):
            return found
        if self._reached.get(stream, 0) < at_least:
            await self._wait_for_leader(stream, at_least)
        return found if stream in self._single else await self.leader_get(stream, question)

    async def get(self, stream: str, position: int) -> Stored | None:
        """The message at a position; a replica's no is checked with the leader, since a replica may be behind."""
        found = await self._direct(stream, {"seq": position})
        return found if found is not None else await self.leader_get(stream, {"seq": position})

    async def leader_get(self, stream: str, question: Mapping[str, Any]) -> Stored | None:
        """One message from the stream's leader: `{"seq": n}` or `{"last_by_subj": subject}`."""
        reply = await self._api(f"STREAM.MSG.GET.{stream}", question, missing=_NO_MESSAGE_FOUND)
        if reply is None:
            return None
        message = reply["message"]
        return Stored(
            position=message["seq"],
            subject=message["subject"],
            data=base64.b64decode(message.get("data", "")),
            headers=parse_headers(base64.b64decode(message.get("hdrs", ""))),
            time_s=parse_time_s(message["time"]),
        )

    async def purge(self, stream: str, *, below: int, subject: str | None = None) -> None:
        """Remove everything below a position, or only what is on one subject."""
        question = {"seq": below} if subject is None else {"seq": below, "filter": subject}
        if below > 1 and await self._api(f"STREAM.PURGE.{stream}", question, missing=STREAM_NOT_FOUND) is None:
            raise NoSuchZoneError(f"no stream {stream}")

    async def api(
        self, endpoint: str, question: Mapping[str, Any], *, timeout_s: float = TIMEOUT_S
    ) -> Mapping[str, Any]:
        """JetStream's settled answer, which may be an error; raises BusUnavailableError if there is none in time."""
        body = json.dumps(question).encode() if question else b""
        answer = await self._requests.ask_until(
            f"{self._requests.api_prefix}.{endpoint}", body, timeout_s=timeout_s, attempt_s=2.0, good=is_settled
        )
        reply: Mapping[str, Any] = json.loads(answer.data)
        return reply

    async def _api(
        self, endpoint: str, question: Mapping[str, Any], *, missing: int, timeout_s: float = TIMEOUT_S
    ) -> Mapping[str, Any] | None:
        reply = await self.api(endpoint, question, timeout_s=timeout_s)
        error = api_error(reply)
        if error is None:
            return reply
        if error.code == missing:
            return None
        if error.code == STREAM_NOT_FOUND:
            raise NoSuchZoneError(f"{endpoint}: {error.description}")
        raise BusError(f"{endpoint}: {error.description} ({error.code})")

    async def _wait_for_leader(self, stream: str, position: int) -> None:
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + TIMEOUT_S
        while True:
            if await self.info(stream) is None:
                raise NoSuchZoneError(f"no stream {stream}")
            if self._reached[stream] >= position:
                return
            if loop.time() > give_up_s:
                raise BusUnavailableError(f"{stream}: its leader has position {self._reached[stream]}, not {position}")
            await asyncio.sleep(RETRY_WAIT_S)

    async def _direct(self, stream: str, question: Mapping[str, Any]) -> Stored | None:
        subject, body = f"{self._requests.api_prefix}.DIRECT.GET.{stream}", json.dumps(question).encode()
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + TIMEOUT_S
        answer = await self._requests.ask(subject, body, timeout_s=1.0)
        while answer is None or answer.status not in (0, 404):
            if answer is not None and answer.status == NO_RESPONDERS:
                info = await self.info(stream)
                if info is None:
                    raise NoSuchZoneError(f"no stream {stream}")
                if not info["config"].get("allow_direct"):
                    return await self.leader_get(stream, question)
            if loop.time() > give_up_s:
                raise BusUnavailableError(f"{stream}: no replica has answered within {TIMEOUT_S} s")
            await asyncio.sleep(RETRY_WAIT_S)
            answer = await self._requests.ask(subject, body, timeout_s=1.0)
        if answer.status == 404:
            return None
        headers = parse_headers(answer.header_block)
        if headers is None:
            raise BusUnavailableError(f"{subject}: an answer without headers")
        _, subject, position, time, _ = (headers.pop(name, "") for name in _DIRECT_HEADERS)
        return Stored(int(position), subject, answer.data, headers or None, parse_time_s(time))


def _majority_age_s(info: Mapping[str, Any]) -> float:
    """Of the leader's last signs of its followers (one a second if nothing is written), that which makes a majority.

    A leader that is cut off goes on answering: for ten seconds it even calls its followers current.
    """
    ages_s = sorted(peer.get("active", 0) / 1e9 for peer in (info.get("cluster") or {}).get("replicas") or ())
    return ages_s[(len(ages_s) + 1) // 2 - 1] if ages_s else 0.0
