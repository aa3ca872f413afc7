"""A device call goes wrong: what its process says, what becomes of the units behind it, and who never notices."""

from tests.support.user import User


async def test_a_call_that_fails_halfway_crashes_the_process_and_what_was_behind_it_runs_in_order(user: User) -> None:
    await user.done("vm.half", "create")
    slow = await user.fault("latency", kind="vm", id="half", seconds=0.3, times=1)
    fault = await user.fault("fail", kind="vm", id="half", operation="stop", times=1)
    tickets = [await user.submit("vm.half", operation) for operation in ("stop", "start", "stop", "destroy")]
    crashed = await user.event("vm.half", "crashed", ticket=tickets[0])
    assert (crashed.verdict, crashed.attempts, crashed.flushed) == ("maybe_started", 1, tickets[1:])
    assert "halfway" in (crashed.reason or "")
    for ticket in tickets:
        assert (await user.outcome(ticket)).type == "completed"
    assert [event.ticket for event in user.events["vm.half"] if event.is_outcome][1:] == tickets
    after = user.types("vm.half")[user.types("vm.half").index("crashed") + 1 :]
    assert after == ["ready", "completed", "completed", "completed", "completed"]
    assert [ticket for ticket, _ in user.effects("vm.half")][1:] == tickets
    await user.mend(slow)
    await user.mend(fault)


async def test_others_are_served_while_a_process_backs_off(user: User) -> None:
    await user.done("vm.patient", "create")
    await user.fault("fail", kind="vm", id="patient", operation="stop", times=3)
    ticket = await user.submit("vm.patient", "stop")
    await user.event("vm.patient", "crashed", ticket=ticket)
    for number in range(8):
        await user.done(f"vm.other-{number}", "create")
        await user.done(f"vm.other-{number}", "destroy")
    assert (await user.outcome(ticket)).type == "completed"
    crashes = user.seen("vm.patient", "crashed", ticket)
    assert [crash.attempts for crash in crashes] == [1, 2, 3]
    assert len({crash.life for crash in crashes}) == 3
    await user.done("vm.patient", "destroy")


async def test_a_call_that_hangs_is_given_up_and_found_out_about_in_the_next_life(user: User) -> None:
    """The device is busy while the old call is in hand: nothing may overlap with it."""
    await user.done("vm.hung", "create")
    fault = await user.fault("hang", kind="vm", id="hung", operation="stop", times=1)
    ticket = await user.submit("vm.hung", "stop")
    crashed = await user.event("vm.hung", "crashed", ticket=ticket)
    assert (crashed.verdict, "did not answer within 1 s" in (crashed.reason or "")) == ("maybe_started", True)
    await user.done("vm.other", "create")
    assert ticket not in user.outcomes
    await user.mend(fault)
    event = await user.outcome(ticket)
    assert event.type == "completed"
    assert user.effects("vm.hung")[1:] == [(ticket, "stop")]
    await user.done("vm.hung", "destroy")
    await user.done("vm.other", "destroy")


async def test_a_lost_answer_is_remembered_by_the_device(user: User) -> None:
    await user.done("vm.lost", "create")
    await user.fault("lose", kind="vm", id="lost", operation="stop", times=1)
    ticket = await user.submit("vm.lost", "stop")
    event = await user.outcome(ticket)
    assert (event.type, event.verdict) == ("completed", "done")
    assert len(user.seen("vm.lost", "crashed", ticket)) == 1
    assert user.effects("vm.lost")[1:] == [(ticket, "stop")]
    await user.done("vm.lost", "destroy")


async def test_a_connection_that_is_closed_instead_of_an_answer_crashes_nobody(user: User) -> None:
    await user.done("vm.cut", "create")
    await user.fault("lose", kind="vm", id="cut", operation="stop", times=1, close=True)
    ticket = await user.submit("vm.cut", "stop")
    assert (await user.outcome(ticket)).type == "completed"
    assert user.effects("vm.cut")[1:] == [(ticket, "stop")]
    assert not user.seen("vm.cut", "crashed")
    await user.done("vm.cut", "destroy")


async def test_a_refusal_is_an_answer_and_no_crash(user: User) -> None:
    await user.done("vm.refused", "create")
    await user.fault("refuse", kind="vm", id="refused", operation="stop", times=1, reason="not today")
    event = await user.outcome(await user.submit("vm.refused", "stop"))
    assert (event.type, event.reason) == ("failed", "not today")
    assert not user.seen("vm.refused", "crashed")
    event = await user.outcome(await user.submit("vm.refused", "start"))
    assert (event.type, event.reason) == ("failed", "vm refused is already running")
    await user.done("vm.refused", "destroy")


async def test_a_host_that_crashes_takes_the_vms_in_use_on_it_along(user: User) -> None:
    """Its VMs are rebuilt below it, each in a life of its own; what is on other hosts never notices."""
    homes: dict[str, str] = {}
    for name in ("vm.on-1", "vm.on-2", "vm.on-3", "vm.on-4"):
        host = (await user.done(name, "create")).host
        assert host is not None
        homes[name] = host
    host = homes["vm.on-1"]
    inside = [name for name in homes if homes[name] == host]
    outside = next(name for name in homes if homes[name] != host)
    fault = await user.fault("hang", kind="vm", host=host, operation="stop")
    waiting = [await user.submit(name, "stop") for name in inside]
    for name, ticket in zip(inside, waiting, strict=True):
        await user.in_progress(name, ticket)
    failing = await user.fault("fail", kind="host", id=host, operation="resize", times=1)
    resized = await user.submit(f"host.{host}", "resize", spec={"cpus": 17})
    crash = await user.event(f"host.{host}", "crashed", ticket=resized)
    for name, ticket in zip(inside, waiting, strict=True):
        assert (await user.event(name, "crashed", ticket=ticket)).verdict == "maybe_started"
    assert crash.reason is not None
    await user.done(outside, "stop")
    assert not user.seen(outside, "crashed")
    await user.mend(fault)
    await user.mend(failing)
    for ticket in [*waiting, resized]:
        assert (await user.outcome(ticket)).type == "completed"
    for name in homes:
        await user.done(name, "destroy")
    await user.done(f"host.{host}", "resize", spec={"cpus": 16})
