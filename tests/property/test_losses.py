"""What is lost with an instance, a pod or a zone: the first step of `what-if`, from a snapshot alone."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as some

from treeward.bus.interface import Stored
from treeward.runtime import codec
from treeward.schemas import subjects
from treeward.schemas.events import Event, EventType
from treeward.schemas.presence import Heartbeat, Holding, Service
from treeward.simulation.what_if.live import Live, ZoneStreams
from treeward.simulation.what_if.losses import UnknownLossError, loss_of
from treeward.supervision.limits import Limits

AT = datetime(2026, 1, 1, tzinfo=UTC)
ZONE, PODS = "zone-a", ("pod-1", "pod-2", "pod-3")
SERVICES: tuple[Service, ...] = ("orchestrator", "zone-supervisor", "pod-agent")
INSTANCES = some.lists(
    some.tuples(
        some.sampled_from(SERVICES),
        some.sampled_from((None, ZONE, "zone-b")),
        some.sampled_from((None, *PODS)),
        some.sets(some.sampled_from((ZONE, "zone-b", "zone-b.pod-1", *(f"{ZONE}.{pod}" for pod in PODS))), max_size=3),
    ),
    max_size=8,
)
DEVICES = some.fixed_dictionaries({pod: some.none() | some.just(f"tcp://{pod}:1") for pod in PODS})


def snapshot(instances: list[tuple[Service, str | None, str | None, set[str]]], devices: dict[str, str | None]) -> Live:
    beats = tuple(
        Heartbeat(
            service=service, instance=f"i{number}", name=f"i{number}", zone=zone,
            labels={"pod": pod} if pod is not None else {},
            holds=[Holding(branch=branch, epoch=number + 1) for branch in sorted(holds)],
        )
        for number, (service, zone, pod, holds) in enumerate(instances)
    )  # fmt: skip
    log = []
    for position, (pod, device) in enumerate(devices.items(), 1):
        event = Event(
            type=EventType.COMPLETED,
            zone=ZONE,
            kind="pod",
            id=pod,
            life=1,
            at=AT,
            definition={"labels": {}, "device": device},
        )
        draft = codec.draft_of(event, instance="test", trace=None)
        log.append(Stored(position, subjects.log(ZONE, event.key, event.type.value), draft.data, None, 0.0))
    held = ZoneStreams(ZONE, tuple(log), len(log), (), (), 1, 0)
    root = ZoneStreams("root", (), 0, (), (), 1, 0)
    return Live(ZONE, 0.0, root, held, beats, Limits())


@given(INSTANCES, DEVICES)
def test_with_a_zone_goes_all_that_goes_with_its_pods_and_nothing_that_only_serves_others(
    instances: list[tuple[Service, str | None, str | None, set[str]]], devices: dict[str, str | None]
) -> None:
    live = snapshot(instances, devices)
    with_zone = loss_of(live, ZONE)
    owners = {f"i{number}" for number, one in enumerate(instances) if any(held.startswith(ZONE) for held in one[3])}
    agents = {f"i{number}" for number, one in enumerate(instances) if one[0] == "pod-agent"}
    for pod in PODS:
        with_pod = loss_of(live, f"{ZONE}.pod.{pod}")
        assert set(with_pod.instances) <= agents
        owned = {f"i{number}" for number, one in enumerate(instances) if f"{ZONE}.{pod}" in one[3]} & agents
        assert owned <= set(with_pod.instances), "whoever owns it goes with it"
        assert set(with_pod.instances) & owners <= set(with_zone.instances)
        assert with_pod.devices == ((devices[pod],) if devices[pod] is not None else ())
        assert set(with_pod.devices) <= set(with_zone.devices)
    for number, (service, zone, _, _) in enumerate(instances):
        name = f"i{number}"
        assert loss_of(live, name).instances == (name,)
        serves = zone == ZONE or name in owners
        assert (name in with_zone.instances) is (serves and service != "orchestrator")


@given(INSTANCES, DEVICES, some.sampled_from(("zone-b", "pod.pod-9", "zone-a.host.h9", "vm.web-1", "")))
def test_what_is_not_there_cannot_be_lost(
    instances: list[tuple[Service, str | None, str | None, set[str]]], devices: dict[str, str | None], name: str
) -> None:
    with pytest.raises(UnknownLossError):
        loss_of(snapshot(instances, devices), name)
