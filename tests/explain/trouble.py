"""What goes wrong in the reasons: a device that hangs, or breaks off, and processes that crash of it."""

from collections.abc import Iterable
from typing import Any

from tests.support.world import World

from treeward.simulation.device import DeviceTrouble

SOON_S = 0.2
SMALL = {"cpus": 0.1, "memory_mib": 16}
TOGETHER = 4


def hangs(centre: World, key: str = "vm.web-1") -> int:
    """A VM whose `stop` is at the device and does not end; returns its ticket."""
    centre.done(key, "create", spec=SMALL)
    centre.device_of("pod-1").trouble = DeviceTrouble(hang=1.0)
    ticket = centre.submit(key, "stop")
    centre.until(lambda: is_at_the_device(centre, ticket), f"ticket {ticket} at the device")
    return ticket


def is_at_the_device(centre: World, ticket: int) -> bool:
    return any(entry.ticket == ticket and entry.ended_s is None for entry in centre.books.entries)


def crashes(centre: World, key: str = "vm.web-1", count: int = 1, **fields: Any) -> int:
    """A VM whose `stop` breaks off each time; returns its ticket once it has crashed so often."""
    centre.done(key, "create", spec=SMALL)
    centre.device_of("pod-1").trouble = DeviceTrouble(fail=1.0)
    ticket = centre.submit(key, "stop", **fields)
    centre.until(lambda: centre.types(key).count("crashed") >= count, f"{count} crashes of {key}")
    return ticket


def many_crash(centre: World, count: int) -> dict[str, int]:
    """The same of many at once: key -> ticket."""
    keys = [f"vm.web-{number}" for number in range(1, count + 1)]
    for key in keys:
        centre.done(key, "create", spec=SMALL)
    centre.run_for(3.0)  # what went well just now is forgotten
    centre.device_of("pod-1").trouble = DeviceTrouble(fail=1.0)
    tickets = {key: centre.submit(key, "stop", attempts_max=1000) for key in keys}
    centre.until(lambda: all("crashed" in centre.types(key) for key in keys), "a crash of each")
    return tickets


def migrates_in_vain(centre: World, *pods: str, key: str = "vm.web-1") -> int:
    """A VM that is to leave pod-1, and hosts of these pods on which nothing is made; returns the ticket."""
    created = centre.done(key, "create", spec=SMALL)
    assert created.pod == "pod-1"
    for pod in pods:
        centre.device_of(pod).trouble = DeviceTrouble(unwilling=frozenset({f"{pod}-h1"}))
    ticket = centre.submit(key, "migrate")
    centre.until(lambda: centre.types(key).count("placed") == 2, "that it is placed elsewhere")
    return ticket


def tries_again(centre: World, key: str = "vm.web-1", pod: str = "pod-1") -> None:
    """Return while its process waits for the next attempt, and not in the moment of one."""
    for _ in range(200):
        if centre.owner_says(key, pod).get("retry_in_s", 0.0) > SOON_S:
            return
        centre.run_for(SOON_S / 2)
    raise AssertionError(f"{key} is not about to be tried again")


def behind_others_in_line(centre: World, keys: Iterable[str], place: int) -> str:
    """The one of these that has so many before it in the line of its pod."""
    places = {centre.owner_says(key, "pod-1")["line_place"]: key for key in keys}
    assert place in places, places
    return places[place]


def pods_beyond_help(centre: World, *pods: str, **policies: Any) -> dict[str, int]:
    """Pods whose devices answer and fail every call, while none of their processes is to blame: key -> ticket."""
    homes: dict[str, list[str]] = {pod: [] for pod in pods}
    for number in range(1, 3 * TOGETHER * len(pods) + 1):
        created = centre.done(f"vm.web-{number}", "create", spec=SMALL)
        if created.pod in homes:
            homes[created.pod].append(created.key)
    for pod in pods:
        centre.done(f"pod.{pod}", "configure", spec=policies | {"kinds": {"vm": {"restarts_max": 1000}}})
    centre.run_for(3.0)  # what went well just now is forgotten
    tickets: dict[str, int] = {}
    for pod in pods:
        assert len(homes[pod]) >= TOGETHER
        centre.device_of(pod).trouble = DeviceTrouble(fail=1.0)
        tickets |= {key: centre.submit(key, "stop", attempts_max=1000) for key in homes[pod]}
    return tickets


def asks_for_help(centre: World, branch: str, key: str) -> None:
    """Return while the owner of that branch has asked for help and the process waits for its next attempt."""
    for _ in range(600):
        asking = centre.explain(key=key).help
        if any(each.branch == branch and each.claim_at is not None for each in asking):
            return tries_again(centre, key)
        centre.run_for(SOON_S / 2)
    raise AssertionError(f"{branch} asks nobody for help")
