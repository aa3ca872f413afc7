"""The NATS services protocol (ADR-32): how this instance is found, described and counted by `nats micro`. Pure."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

SERVICE = "treeward"
QUEUE_GROUP = "treeward"
DESCRIPTION = "Answers questions about zones: what is, who owns it, what waits and why"
VERBS = ("PING", "INFO", "STATS")


@dataclass(slots=True)
class Endpoint:
    """One endpoint, and what came of the requests to it here."""

    name: str
    subject: str
    requests: int = 0
    errors: int = 0
    last_error: str = ""
    processing_s: float = 0.0

    def count(self, took_s: float, error: str | None) -> None:
        """A request was answered."""
        self.requests += 1
        self.processing_s += took_s
        if error is not None:
            self.errors += 1
            self.last_error = error


@dataclass(slots=True)
class Micro:
    """One instance of the service; `started_s` is Unix seconds."""

    instance: str
    version: str
    started_s: float
    metadata: dict[str, str] = field(default_factory=dict)
    endpoints: list[Endpoint] = field(default_factory=list)

    def subjects(self) -> Iterator[tuple[str, str]]:
        """Every subject to answer, with its verb: for all services, for this one, for this instance."""
        for verb in VERBS:
            yield f"$SRV.{verb}", verb
            yield f"$SRV.{verb}.{SERVICE}", verb
            yield f"$SRV.{verb}.{SERVICE}.{self.instance}", verb

    def answer(self, verb: str) -> bytes:
        """What is said to one of the verbs."""
        said: dict[str, Any] = {
            "type": f"io.nats.micro.v1.{verb.lower()}_response",
            "name": SERVICE,
            "id": self.instance,
            "version": self.version,
            "metadata": self.metadata,
        }
        if verb == "INFO":
            said |= {"description": DESCRIPTION, "endpoints": [_info(endpoint) for endpoint in self.endpoints]}
        elif verb == "STATS":
            started = datetime.fromtimestamp(self.started_s, UTC).isoformat().replace("+00:00", "Z")
            said |= {"started": started, "endpoints": [_stats(endpoint) for endpoint in self.endpoints]}
        return json.dumps(said).encode()


def _info(endpoint: Endpoint) -> dict[str, Any]:
    return {"name": endpoint.name, "subject": endpoint.subject, "queue_group": QUEUE_GROUP, "metadata": {}}


def _stats(endpoint: Endpoint) -> dict[str, Any]:
    whole_ns = round(endpoint.processing_s * 1e9)
    return {
        "name": endpoint.name,
        "subject": endpoint.subject,
        "queue_group": QUEUE_GROUP,
        "num_requests": endpoint.requests,
        "num_errors": endpoint.errors,
        "last_error": endpoint.last_error,
        "processing_time": whole_ns,
        "average_processing_time": whole_ns // endpoint.requests if endpoint.requests else 0,
    }
