"""Recovery policies, deadlines and steering, told by events and by the device's books."""

from datetime import UTC, datetime, timedelta

from tests.support.until import until
from tests.support.user import User


async def _busy(user: User, name: str) -> tuple[int, int]:
    """A VM whose `stop` hangs in the device; returns the fault and the ticket."""
    await user.done(name, "create")
    fault = await user.fault("latency", kind="vm", id=name.partition(".")[2], operation="stop", seconds=0.6, times=1)
    ticket = await user.submit(name, "stop")
    await user.in_progress(name, ticket)
    return fault, ticket


async def test_on_failure_fail_ends_with_the_first_crash(user: User) -> None:
    await user.done("vm.once", "create")
    await user.fault("fail", kind="vm", id="once", operation="stop", times=1)
    ticket = await user.submit("vm.once", "stop", on_failure="fail")
    behind = await user.submit("vm.once", "destroy")
    event = await user.outcome(ticket)
    assert event.type == "failed"
    assert "its policy is to fail" in (event.reason or "")
    assert (await user.outcome(behind)).type == "completed"
    assert [row[0] for row in user.calls("vm.once")].count(ticket) == 1


async def test_attempts_are_counted_up_to_their_limit(user: User) -> None:
    await user.done("vm.thrice", "create")
    await user.fault("fail", kind="vm", id="thrice", operation="stop")
    ticket = await user.submit("vm.thrice", "stop", attempts_max=3)
    event = await user.outcome(ticket)
    assert event.type == "failed"
    assert "attempts_max is 3" in (event.reason or "")
    assert [crash.attempts for crash in user.seen("vm.thrice", "crashed", ticket)] == [1, 2, 3]
    assert [row[0] for row in user.calls("vm.thrice")].count(ticket) == 3
    await user.done("vm.thrice", "destroy")


async def test_on_failure_reallocate_goes_to_another_host(user: User) -> None:
    created = await user.done("vm.mover", "create")
    await user.fault("fail", kind="vm", id="mover", operation="stop", host=created.host)
    ticket = await user.submit("vm.mover", "stop", on_failure="reallocate")
    event = await user.outcome(ticket)
    assert (event.type, event.host == created.host) == ("completed", False)
    assert user.exists("vm.mover") == event.host
    handed_off = user.seen("vm.mover", "handed_off")
    assert [(row.left, row.existed) for row in handed_off] == [(created.host, True)]
    await user.done("vm.mover", "destroy")


async def test_what_moved_leaves_a_device_that_refuses_to_make_it(user: User) -> None:
    """Three pods, each with a device as it names it; behind all names is the simulator, which keeps the books."""
    port = user.centre.device.rpartition(":")[2]
    devices = {"r1": f"tcp://127.0.0.1:{port}", "r2": f"tcp://localhost:{port}", "r3": None}
    for pod, device in devices.items():
        await user.done(f"pod.{pod}", "create", spec={"device": device} if device is not None else {})
        host = {"pod": pod, "cpus": 4, "memory_mib": 4096, "labels": {"rack": "r"}}
        await user.done(f"host.{pod}-h1", "create", spec=host)
    created = await user.done("vm.refused", "create", spec={"cpus": 1, "requires": {"rack": "r"}})
    first, second, third = created.host, *sorted(f"{pod}-h1" for pod in devices if pod != created.pod)
    await user.fault("refuse", id="refused", host=second, operation="synchronize", reason="its pool is full")
    moved = await user.done("vm.refused", "migrate")
    assert [event.host for event in user.seen("vm.refused", "placed")] == [first, second, third]
    assert moved.host == user.exists("vm.refused") == third
    gave_up = user.seen("vm.refused", "handed_off")[1]
    assert (gave_up.left, gave_up.tried) == (second, (first, second))
    assert "its pool is full" in (gave_up.reason or "")
    for name in ("vm.refused", *(f"host.{pod}-h1" for pod in devices), *(f"pod.{pod}" for pod in devices)):
        await user.done(name, "destroy")


async def test_a_deadline_that_passes_while_the_unit_waits_expires_it(user: User) -> None:
    _, first = await _busy(user, "vm.expiring")
    deadline = datetime.now(UTC) + timedelta(seconds=0.2)
    late = await user.submit("vm.expiring", "start", deadline=deadline.isoformat())
    last = await user.submit("vm.expiring", "destroy")
    assert [(await user.outcome(ticket)).type for ticket in (first, late, last)] == [
        "completed",
        "expired",
        "completed",
    ]
    assert late not in [row[0] for row in user.calls("vm.expiring")]


async def test_a_waiting_unit_is_cancelled_and_says_by_whom(user: User) -> None:
    _, first = await _busy(user, "vm.cancelled")
    waiting = await user.submit("vm.cancelled", "start")
    cancel = await user.submit("vm.cancelled", "cancel", ticket=waiting, reason="changed my mind")
    last = await user.submit("vm.cancelled", "destroy")
    event = await user.outcome(waiting)
    assert (event.type, event.reason) == ("cancelled", f"by ticket {cancel}: changed my mind")
    assert [(await user.outcome(ticket)).type for ticket in (first, cancel, last)] == ["completed"] * 3
    assert [event.ticket for event in user.events["vm.cancelled"] if event.is_outcome][1:] == [
        first, waiting, cancel, last,
    ]  # fmt: skip
    assert waiting not in [row[0] for row in user.calls("vm.cancelled")]


async def test_a_cancel_of_what_has_started_comes_too_late(user: User) -> None:
    _, first = await _busy(user, "vm.too-late")
    cancel = await user.submit("vm.too-late", "cancel", ticket=first)
    assert (await user.outcome(first)).type == "completed"
    assert (await user.outcome(cancel)).type == "completed"
    assert user.effects("vm.too-late")[1:] == [(first, "stop")]
    await user.done("vm.too-late", "destroy")


async def test_a_superseding_unit_answers_for_what_has_not_started(user: User) -> None:
    _, first = await _busy(user, "vm.superseded")
    waiting = [await user.submit("vm.superseded", operation) for operation in ("start", "stop", "start")]
    last = await user.submit("vm.superseded", "destroy", order="supersede")
    for ticket in waiting:
        event = await user.outcome(ticket)
        assert (event.type, event.reason) == ("superseded", f"by ticket {last}")
    assert [(await user.outcome(ticket)).type for ticket in (first, last)] == ["completed"] * 2
    assert user.effects("vm.superseded")[1:] == [(first, "stop"), (last, "destroy")]


async def test_after_waits_for_a_unit_of_another_resource(user: User) -> None:
    _, first = await _busy(user, "vm.before")
    second = await user.submit("vm.after", "create", after=[first])
    third = await user.done("vm.unrelated", "create")
    assert second not in user.outcomes
    assert third.ticket is not None
    await user.outcome(second)
    assert list(user.outcomes).index(first) < list(user.outcomes).index(second)
    for name in ("vm.before", "vm.after", "vm.unrelated"):
        await user.done(name, "destroy")


async def test_a_pause_holds_what_is_behind_it_until_the_resume(user: User) -> None:
    await user.done("vm.paused", "create")
    paused = await user.done("vm.paused", "pause", reason="maintenance")
    assert (paused.paused, paused.reason) == (True, "maintenance")
    held = [await user.submit("vm.paused", operation) for operation in ("stop", "start")]
    await user.done("vm.awake", "create")
    assert not any(ticket in user.outcomes for ticket in held)
    resume = await user.submit("vm.paused", "resume")
    for ticket in [*held, resume]:
        assert (await user.outcome(ticket)).type == "completed"
    assert not user.events["vm.paused"][-1].paused
    assert user.effects("vm.paused")[1:] == [(held[0], "stop"), (held[1], "start")]
    for name in ("vm.paused", "vm.awake"):
        await user.done(name, "destroy")


async def test_a_resource_that_goes_on_crashing_is_quarantined_until_it_is_released(user: User) -> None:
    await user.done("vm.broken", "create")
    fault = await user.fault("fail", kind="vm", id="broken", operation="stop")
    ticket = await user.submit("vm.broken", "stop", attempts_max=100)
    behind = await user.submit("vm.broken", "start")
    quarantined = await user.event("vm.broken", "quarantined", timeout_s=60)
    assert quarantined.quarantined
    assert "crashed 6 times within 60 s" in (quarantined.reason or "")
    assert len(user.seen("vm.broken", "crashed", ticket)) == 6
    await user.done("vm.healthy", "create")
    assert not {ticket, behind} & set(user.outcomes)
    await user.mend(fault)
    release = await user.submit("vm.broken", "release", reason="repaired")
    for each in (ticket, behind, release):
        assert (await user.outcome(each)).type == "completed"
    assert user.seen("vm.broken", "released")[0].reason == f"by ticket {release}"
    assert [row[0] for row in user.effects("vm.broken")][1:] == [ticket, behind]
    for name in ("vm.broken", "vm.healthy"):
        await user.done(name, "destroy")


async def test_a_migration_moves_what_exists_to_the_host_that_was_named(user: User) -> None:
    created = await user.done("vm.wanderer", "create", spec={"memory_mib": 1024})
    target = next(host for host in ("a1-h1", "a1-h2", "a2-h1", "a2-h2") if host != created.host)
    moved = await user.done("vm.wanderer", "migrate", spec={"host": target})
    assert (moved.host, user.exists("vm.wanderer")) == (target, target)
    assert moved.definition is not None
    assert moved.definition["memory_mib"] == 1024
    stayed = await user.done("vm.wanderer", "migrate", spec={"host": target})
    assert "already" in (stayed.reason or "")
    await user.done("vm.wanderer", "destroy")
    assert user.exists("vm.wanderer") is None


async def test_a_host_is_drained_by_moving_what_is_on_it(user: User) -> None:
    homes = {name: (await user.done(name, "create")).host for name in ("vm.d-1", "vm.d-2", "vm.d-3", "vm.d-4")}
    host = homes["vm.d-1"]
    assert host is not None
    drain = await user.done(f"host.{host}", "drain", reason="new memory")
    assert drain.draining
    await until(lambda: all(user.exists(name) not in (None, host) for name in homes), f"nothing on {host}")
    newcomer = await user.done("vm.d-5", "create")
    assert newcomer.host != host
    await user.done(f"host.{host}", "resume")
    for name in [*homes, "vm.d-5"]:
        await user.done(name, "destroy")
    assert not user.seen("vm.d-1", "crashed")


async def test_create_and_destroy_in_turn_leave_nothing_and_never_overlap(user: User) -> None:
    operations = ["create", "destroy"] * 15
    tickets = [await user.submit("vm.brief", operation) for operation in operations]
    for ticket in tickets:
        assert (await user.outcome(ticket)).type == "completed"
    assert user.effects("vm.brief") == list(zip(tickets, operations, strict=True))
    assert user.exists("vm.brief") is None
    assert user.events["vm.brief"][-1].removed


async def test_a_create_that_fits_nowhere_waits_for_room_and_is_placed(user: User) -> None:
    for number in range(4):
        await user.done(f"vm.big-{number}", "create", spec={"cpus": 10})
    waiting = await user.submit("vm.homeless", "create", spec={"cpus": 12})
    small = await user.done("vm.small", "create", spec={"cpus": 1})
    assert small.type == "completed"
    assert waiting not in user.outcomes
    assert not user.seen("vm.homeless", "placed")
    await user.done("vm.big-2", "destroy")
    placed = await user.outcome(waiting)
    assert (placed.type, placed.host) == ("completed", user.exists("vm.homeless"))
    for name in ("vm.big-0", "vm.big-1", "vm.big-3", "vm.homeless", "vm.small"):
        await user.done(name, "destroy")
    assert not user.books("SELECT 1 FROM resources WHERE kind = 'vm' AND resource LIKE 'big-%'")


async def test_a_create_that_waits_for_room_expires_or_is_cancelled_while_it_waits(user: User) -> None:
    deadline = datetime.now(UTC) + timedelta(seconds=1)
    expiring = await user.submit("vm.giant-1", "create", spec={"cpus": 1000}, deadline=deadline.isoformat())
    cancelled = await user.submit("vm.giant-2", "create", spec={"cpus": 1000})
    await user.submit("vm.giant-2", "cancel", ticket=cancelled)
    assert (await user.outcome(expiring)).type == "expired"
    assert (await user.outcome(cancelled)).type == "cancelled"
    assert user.exists("vm.giant-1") is None


async def test_a_pause_of_a_pod_holds_for_what_is_in_it(user: User) -> None:
    created = await user.done("vm.in-pod", "create")
    pod = created.pod
    await user.done(f"pod.{pod}", "pause", reason="switch is replaced")
    held = await user.submit("vm.in-pod", "stop")
    assert (await user.done("vm.elsewhere", "create")).pod != pod
    assert held not in user.outcomes
    await user.done(f"pod.{pod}", "resume")
    assert (await user.outcome(held)).type == "completed"
    for name in ("vm.in-pod", "vm.elsewhere"):
        await user.done(name, "destroy")


async def test_a_pod_is_drained_by_moving_what_is_in_it(user: User) -> None:
    names = [f"vm.p-{number}" for number in range(4)]
    homes = {name: (await user.done(name, "create")).pod for name in names}
    pod = homes[names[0]]
    await user.done(f"pod.{pod}", "drain", reason="power is cut")
    await until(lambda: all((user.exists(name) or "x")[:2] not in (pod, "x") for name in names), f"nothing in {pod}")
    newcomer = await user.done("vm.p-new", "create")
    assert newcomer.pod != pod
    await user.done(f"pod.{pod}", "resume")
    for name in [*names, "vm.p-new"]:
        await user.done(name, "destroy")
    assert not any(user.seen(name, "crashed") for name in names)


async def test_retry_begins_again_at_once(user: User) -> None:
    _, first = await _busy(user, "vm.again")
    retry = await user.submit("vm.again", "retry", ticket=first)
    assert [(await user.outcome(ticket)).type for ticket in (first, retry)] == ["completed"] * 2
    assert user.effects("vm.again")[1:] == [(first, "stop")]
    await user.done("vm.again", "destroy")
