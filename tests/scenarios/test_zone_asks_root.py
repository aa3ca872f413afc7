"""A zone most of whose pods cannot be helped asks root, is claimed for another once, and then quarantines them."""

from functools import partial
from typing import Any

from tests.support.world import World, world

from treeward.schemas.events import Event
from treeward.simulation.device import DeviceTrouble

PODS = ("pod-1", "pod-2")
TOGETHER = 4
LIMITS: dict[str, Any] = {
    "failed_at_once_min": TOGETHER,
    "restarts_max": 1,
    "restart_period_s": 2.0,
    "backoff_s_max": 0.5,
}


def claims(centre: World, key: str) -> list[Event]:
    """Of a branch, in order."""
    return [event for event in centre.events.get(key, []) if event.type == "claimed"]


def quarantined(centre: World, pod: str) -> bool:
    return "quarantined" in centre.types(f"pod.{pod}")


def trouble_in(centre: World, *pods: str) -> None:
    """Devices that answer, and fail every call; their processes are never blamed one by one."""
    homes: dict[str, list[str]] = {pod: [] for pod in PODS}
    for number in range(1, 3 * TOGETHER + 1):
        created = centre.done(f"vm.web-{number}", "create", spec={"cpus": 0.1, "memory_mib": 16})
        homes[created.pod or ""].append(created.key)
    for pod in PODS:
        centre.done(f"pod.{pod}", "configure", spec={"kinds": {"vm": {"restarts_max": 1000}}})
    centre.run_for(3.0)  # what went well just now is forgotten
    for pod in pods:
        assert len(homes[pod]) >= TOGETHER
        centre.device_of(pod).trouble = DeviceTrouble(fail=1.0)
        for key in homes[pod]:
            centre.submit(key, "stop", attempts_max=1000)


def test_a_zone_that_cannot_help_most_of_its_pods_asks_root_once_and_then_quarantines_them() -> None:
    with world(pods=2, supervisors=2, agents=2, **LIMITS) as centre:
        (first,) = claims(centre, "zone.zone-a")
        trouble_in(centre, *PODS)
        centre.until(lambda: len(claims(centre, "zone.zone-a")) == 2, "a claim of the zone")
        second = claims(centre, "zone.zone-a")[1]
        assert (second.owner != first.owner, second.attempts) == (True, 1)
        assert "2 of its 2 pods need help that it cannot give" in (second.reason or "")
        assert not any(quarantined(centre, pod) for pod in PODS), "it has asked first"
        for pod in PODS:
            centre.until(partial(quarantined, centre, pod), f"the quarantine of {pod}")
        centre.run_for(20.0)
        assert len(claims(centre, "zone.zone-a")) == 2, "it is asked no more"


def test_a_zone_that_is_configured_after_it_has_asked_does_not_ask_again() -> None:
    with world(pods=2, supervisors=2, agents=2, **LIMITS) as centre:
        trouble_in(centre, *PODS)
        centre.until(lambda: len(claims(centre, "zone.zone-a")) == 2, "a claim of the zone")
        centre.submit("zone.zone-a", "configure", zone="root", spec={"restart_period_s": 3})
        centre.until(lambda: len(claims(centre, "zone.zone-a")) == 3, "a claim that says what was configured")
        second, third = claims(centre, "zone.zone-a")[1:]
        assert (third.owner, third.attempts) == (second.owner, 1)
        assert third.policies is not None and third.policies["restart_period_s"] == 3
        for pod in PODS:
            centre.until(partial(quarantined, centre, pod), f"the quarantine of {pod}")
        assert len(claims(centre, "zone.zone-a")) == 3, "it is asked no more"


def test_a_pod_in_trouble_alone_is_quarantined_by_its_zone() -> None:
    with world(pods=2, supervisors=2, agents=2, **LIMITS) as centre:
        trouble_in(centre, "pod-1")
        centre.until(lambda: quarantined(centre, "pod-1"), "the quarantine of the pod")
        assert len(claims(centre, "zone.zone-a")) == 1
        assert not quarantined(centre, "pod-2")
