"""Policies of resources and branches, changed while everything runs: told by events, `explain` and the books."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.supervision.mass_crash import mass_crash
from tests.support.until import until
from tests.support.user import User

from treeward.schemas import subjects
from treeward.schemas.address import ROOT


async def explain(user: User, key: str, ticket: int) -> dict[str, Any]:
    request = json.dumps({"ticket": ticket, "key": key}).encode()
    reply = await user.bus.request(subjects.api("explain", user.zone), request, timeout_s=10.0)
    assert reply is not None
    said: dict[str, Any] = json.loads(reply)
    return said


async def fails_for_ever(user: User, name: str) -> int:
    """A VM whose `stop` always breaks off; returns the ticket of one."""
    await user.fault("fail", kind="vm", id=name, operation="stop")
    return await user.submit(f"vm.{name}", "stop", attempts_max=100)


async def test_a_resource_that_always_fails_is_quarantined_after_its_own_budget_and_let_out(user: User) -> None:
    for name in ("hopeless", "sibling"):
        await user.done(f"vm.{name}", "create")
    configured = await user.done("vm.hopeless", "configure", spec={"restarts_max": 1, "backoff_max_s": 0.2})
    assert configured.policies == {"restarts_max": 1, "backoff_max_s": 0.2}
    assert [row[1] for row in user.calls("vm.hopeless")] == ["create"], "policies are no device's affair"
    ticket = await fails_for_ever(user, "hopeless")
    quarantined = await user.event("vm.hopeless", "quarantined")
    assert (quarantined.reason, len(user.seen("vm.hopeless", "crashed"))) == ("crashed 2 times within 60 s", 2)
    await user.done("vm.sibling", "stop")
    said = await explain(user, "vm.hopeless", ticket)
    assert said["waits_for"] == "quarantine"
    assert "crashed 2 times within 60 s. It waits until somebody submits `release`." in " ".join(said["sentences"])
    await user.mend()
    release = await user.submit("vm.hopeless", "release")
    for each in (ticket, release):
        assert (await user.outcome(each)).type == "completed"
    for name in ("hopeless", "sibling"):
        await user.done(f"vm.{name}", "destroy")


async def test_a_pod_is_configured_while_it_runs_and_its_processes_obey(user: User) -> None:
    created = await user.done("vm.obedient", "create")
    pod = f"pod.{created.pod}"
    await user.done(pod, "configure", spec={"kinds": {"vm": {"restarts_max": 0}}}, reason="on trial")
    try:
        await fails_for_ever(user, "obedient")
        quarantined = await user.event("vm.obedient", "quarantined")
        assert quarantined.reason == "crashed 1 times within 60 s"
    finally:
        restored = await user.done(pod, "configure", spec={"kinds": None})
    assert restored.policies is None
    await user.mend()
    await user.submit("vm.obedient", "release")
    await user.done("vm.obedient", "destroy")


async def test_the_policies_of_a_host_are_declared_with_it_and_are_not_its_devices_affair(user: User) -> None:
    policies = {"restarts_max": 7, "kinds": {"vm": {"backoff_max_s": 1.0}}}
    spec = {"pod": "a1", "cpus": 1.0, "memory_mib": 16, "policies": policies}
    created = await user.done("host.declared", "create", spec=spec)
    assert created.policies == policies
    assert created.definition is not None
    assert (created.definition["cpus"], "policies" in created.definition) == (1.0, False)
    configured = await user.done("host.declared", "configure", spec={"kinds": {"vm": None}})
    assert configured.policies == {"restarts_max": 7}
    await user.done("host.declared", "destroy")


@asynccontextmanager
async def zone_configured(user: User, spec: dict[str, Any]) -> AsyncIterator[None]:
    """Root has answered, and has named the zone's owner once more."""
    key = f"zone.{user.zone}"

    async def configure(change: dict[str, Any]) -> None:
        before = len(user.seen(key, "claimed"))
        body = json.dumps({"operation": "configure", "spec": change}).encode()
        await user.bus.submit(subjects.work(ROOT, key), body, timeout_s=20.0)
        await until(lambda: len(user.seen(key, "claimed")) > before, "a claim that says so", 30.0)

    await configure(spec)
    try:
        yield
    finally:
        await configure(dict.fromkeys(spec))


async def test_a_destroy_supersedes_what_has_not_started_in_a_zone_that_says_so(user: User) -> None:
    await user.done("vm.short", "create")
    pods = {key: len(user.seen(key, "claimed")) for key in ("pod.a1", "pod.a2")}
    async with zone_configured(user, {"order": "destroy_supersedes"}):
        claimed = user.seen(f"zone.{user.zone}", "claimed")[-1]
        assert claimed.policies == {"order": "destroy_supersedes"}
        assert claimed.reason == "it was paused, drained, resumed or configured"
        await user.fault("latency", kind="vm", id="short", operation="stop", seconds=0.6, times=1)
        hand = await user.submit("vm.short", "stop")
        await user.in_progress("vm.short", hand)
        waiting, destroy = await user.submit("vm.short", "start"), await user.submit("vm.short", "destroy")
        assert (await user.outcome(destroy)).type == "completed"
        superseded = await user.outcome(waiting)
        assert (superseded.type, superseded.reason) == ("superseded", f"by ticket {destroy}")
        assert (await user.outcome(hand)).type == "completed"
        assert waiting not in [row[0] for row in user.calls("vm.short")]
    await user.done("vm.after", "create")
    await user.done("vm.after", "destroy")
    assert pods == {key: len(user.seen(key, "claimed")) for key in pods}, "the pods did not notice"


async def test_a_pod_that_nothing_helps_is_quarantined_and_let_out(user: User) -> None:
    names = [f"vm.many-{number}" for number in range(24)]
    created = [await user.done(name, "create", spec={"cpus": 0.1, "memory_mib": 1}) for name in names]
    pod = max(("a1", "a2"), key=lambda each: sum(event.pod == each for event in created))
    there = [event.key for event in created if event.pod == pod]
    policies = {"restarts_max": 0, "restart_period_s": 1.0, "kinds": {"vm": {"restarts_max": 1000}}}
    await user.done(f"pod.{pod}", "configure", spec=policies)
    await user.fault("fail", kind="vm", id="many-*", operation="stop")
    tickets = [await user.submit(key, "stop", attempts_max=1000) for key in there]
    quarantined = await user.event(f"pod.{pod}", "quarantined")
    assert "the device accepted lives, and failed every call" in (quarantined.reason or "")
    await until(lambda: user.events[f"pod.{pod}"][-1].owner is None, "a claim for nobody", 20.0)
    said = await explain(user, there[0], tickets[0])
    assert (said["waits_for"], f"Pod {pod} is quarantined" in " ".join(said["sentences"])) == ("quarantine", True)
    assert not [key for key in there if user.seen(key, "quarantined")], "none of them is to blame"
    await user.mend()
    assert not set(tickets) & set(user.outcomes)
    await user.done(f"pod.{pod}", "release", reason="repaired")
    for ticket in tickets:
        assert (await user.outcome(ticket)).type == "completed"
    await user.done(f"pod.{pod}", "configure", spec=dict.fromkeys(policies))
    for name in names:
        await user.done(name, "destroy")


async def test_a_pod_that_crashes_as_a_whole_comes_back_at_its_own_rate(tmp_path: Path) -> None:
    """The small form of `make supervision`."""
    figures = await mass_crash(tmp_path, resources=80, away_s=1.0, restarts_per_s=40.0, calm_s=0.5)
    assert (figures.crashed, figures.completed, figures.quarantined, figures.violations) == (80, 80, 0, 0)
    assert figures.restarts
    assert figures.within_budget, figures
