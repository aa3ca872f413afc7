"""Who has paused or drained what a resource belongs to, and why: what holds it back is told with a name."""

from dataclasses import replace
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from treeward.bus.interface import Bus, NoSuchZoneError
from treeward.orchestrator.api import history
from treeward.orchestrator.api.facts import Facts, Steering
from treeward.runtime import codec
from treeward.schemas import streams, subjects
from treeward.schemas.address import ROOT, ZONE_PARTITION


class _Says(BaseModel):
    """The part of what a zone's owner says of a branch or host that is about its drain."""

    model_config = ConfigDict(extra="ignore")

    draining: dict[str, int | str] | None = None


async def with_steering(bus: Bus, facts: Facts, *, timeout_s: float) -> Facts:
    """The same facts and who holds the resource back: the zone, the pod, itself; and how far its own drain is."""
    queue, event, found = facts.queue, facts.last.event if facts.last is not None else None, []
    if queue is not None and queue.held_by_zone:
        found.append(await _zone(bus, facts.zone, "pause"))
    if facts.pod is None and facts.claim is not None and facts.claim.draining:
        found.append(await _zone(bus, facts.zone, "drain"))
    if queue is not None and queue.held_by_pod is not None:
        found.append(await _pause(bus, facts.zone, f"pod.{queue.pod}", queue.held_by_pod))
    own = queue.held_by if queue is not None else None
    if own is not None or (event is not None and event.paused):
        found.append(await _pause(bus, facts.zone, facts.key, own or facts.answered))
    emptying = None
    if event is not None and event.draining:
        if not event.isolated:  # else that empties it, and not a drain
            found.append(await _completed(bus, facts.zone, facts.key, "drain"))
        emptying = await _emptying(bus, facts, timeout_s)
    return replace(facts, steered=tuple(found), emptying=emptying)


async def _zone(bus: Bus, zone: str, operation: Literal["pause", "drain"]) -> Steering:
    """Zones are resources of root, so that is in its log."""
    key = f"zone.{zone}"
    try:
        if operation == "drain":
            return await _completed(bus, ROOT, key, "drain")
        last = await bus.last(streams.log(ROOT), subjects.log_of_resource(ROOT, key))
        event = codec.event_of(last.data) if last is not None else None
        return await _pause(bus, ROOT, key, event.answered if event is not None else 0)
    except NoSuchZoneError:  # root's streams may have been lost while the zone goes on
        return Steering(f"{ROOT}.{key}", operation)


async def _pause(bus: Bus, zone: str, key: str, ticket: int) -> Steering:
    """As a rule nothing behind a pause is answered, so it is the last ticket answered, or one that is not."""
    unit = await history.submitted(bus, zone, ticket) if ticket else None
    if unit is None or unit.operation != "pause" or unit.key != key:  # what was cancelled behind it has been answered
        return await _completed(bus, zone, key, "pause")
    return Steering(f"{zone}.{key}", "pause", ticket, unit.stored_s, unit.reason)


async def _completed(bus: Bus, zone: str, key: str, operation: Literal["pause", "drain"]) -> Steering:
    """As the log tells: what comes behind a drain is answered as ever."""
    answered = await history.last_completed(bus, zone, key, operation)
    if answered is None:
        return Steering(f"{zone}.{key}", operation)
    return Steering(f"{zone}.{key}", operation, answered.event.ticket, answered.stored_s, answered.event.reason)


async def _emptying(bus: Bus, facts: Facts, timeout_s: float) -> dict[str, int | str] | None:
    """Only the owner of a zone knows what is to leave, and what cannot."""
    zone = facts.key.partition(".")[2] if facts.zone == ROOT else facts.zone
    subject = subjects.owner_api("explain", zone, ZONE_PARTITION)
    reply = await bus.request(subject, facts.key.encode(), timeout_s=timeout_s)
    try:
        return _Says.model_validate_json(reply).draining if reply is not None else None
    except ValidationError:
        return None
