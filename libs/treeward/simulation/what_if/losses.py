"""What "lost" means: which instances, hosts and devices go with a zone, a pod, a host or an instance. Pure."""

from dataclasses import dataclass

from treeward.runtime import codec
from treeward.schemas.events import Event
from treeward.schemas.presence import Heartbeat
from treeward.simulation.what_if.live import Live


class UnknownLossError(ValueError):
    """There is nothing of that name in the zone now; the sentence says what there is. Recovered by who asked."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What is gone from one moment on."""

    name: str
    instances: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    """Hosts that the devices cannot reach any more."""
    devices: tuple[str, ...] = ()
    """Device sides that do not answer any more."""


def loss_of(live: Live, name: str) -> Loss:
    """Of an instance its program; of a host what runs on it; of a pod or zone all instances that are in it.

    An instance is in a pod if it is labelled for it or owns it, and in a zone if it serves that zone alone, or owns it
    or a pod of it. With a pod that has a device of its own, that device goes too. Raises UnknownLossError.
    """
    instances = {heartbeat.instance: heartbeat for heartbeat in live.instances}
    if name in instances:
        return Loss(f"instance {name}", (name,))
    if name == live.zone:
        gone = tuple(each.instance for each in live.instances if _is_in_zone(each, live.zone))
        return Loss(f"zone {name}", gone, devices=tuple(sorted(set(own_devices(live).values()))))
    kind, _, id_ = name.removeprefix(f"{live.zone}.").partition(".")
    defined = {key: event for key, event in last_events(live).items() if event.definition is not None}
    if kind == "host" and f"host.{id_}" in defined:
        return Loss(f"host {id_}", hosts=(id_,))
    if kind == "pod" and f"pod.{id_}" in defined:
        branch = f"{live.zone}.{id_}"
        gone = tuple(each.instance for each in live.instances if _is_in_pod(each, branch, id_))
        own = own_devices(live).get(id_)
        return Loss(f"pod {id_}", gone, devices=(own,) if own is not None else ())
    known = [key for key in sorted(defined) if key.startswith(("pod.", "host."))]
    raise UnknownLossError(
        f"{name!r} is no instance, pod or host of {live.zone}; there are {', '.join([*known, *instances][:30])}"
    )


def last_events(live: Live) -> dict[str, Event]:
    """The last event of each resource of the zone."""
    found: dict[str, Event] = {}
    for stored in live.streams.log:
        event = codec.event_of(stored.data)
        if event is not None:
            found[event.key] = event
    return found


def own_devices(live: Live) -> dict[str, str]:
    """Pod -> the device that its definition names."""
    events = last_events(live).values()
    named = ((event.id, (event.definition or {}).get("device")) for event in events if event.kind == "pod")
    return {pod: device for pod, device in named if device}


def _is_in_zone(heartbeat: Heartbeat, zone: str) -> bool:
    owns = any(held.branch.partition(".")[0] == zone for held in heartbeat.holds)
    return heartbeat.service != "orchestrator" and (heartbeat.zone == zone or owns)


def _is_in_pod(heartbeat: Heartbeat, branch: str, pod: str) -> bool:
    if heartbeat.service != "pod-agent":
        return False
    labelled = heartbeat.labels.get("pod") == pod
    return labelled or any(held.branch == branch for held in heartbeat.holds)
