"""Root's owner looks after the streams of zones: once at a time, and a mailbox without leader is made anew."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from random import Random

from tests.support.plans import plan_of

from treeward.orchestrator.zone_streams import ZoneStreams
from treeward.runtime.context import Context
from treeward.schemas import streams
from treeward.schemas.address import ROOT
from treeward.schemas.streams import Retention
from treeward.simulation.loop import VirtualLoop
from treeward.simulation.misfortune import make_plan
from treeward.simulation.plan import Fault
from treeward.simulation.program import Program
from treeward.simulation.run import Run, run_plan
from treeward.simulation.server import BusServer
from treeward.simulation.trace import Trace
from treeward.telemetry import names

ZONE = "zone-a"
MAILBOX = streams.mailbox(ZONE)
Scenario = Callable[[ZoneStreams, BusServer, Program], Awaitable[None]]


def play(scenario: Scenario) -> None:
    """Let root's owner look after a zone on an in-memory bus, in virtual time."""
    loop, done, trace = VirtualLoop(), [], Trace()
    server = BusServer(loop, Random(1), trace)
    server.provision(ZONE, Retention())

    async def serve(program: Program, context: Context, _stopping: asyncio.Event) -> None:
        of_zones = ZoneStreams(context, lambda: (ZONE,))
        await scenario(of_zones, server, program)
        of_zones.close()
        done.append(True)
        program.restarts = False

    program = Program(
        "root-owner", serve, loop=loop, server=server, seed="1", trace=trace, settings={},
        limits=lambda limits: limits, latency_s=0.01,
    )  # fmt: skip
    asyncio._set_running_loop(loop)
    program.start()
    asyncio._set_running_loop(None)
    assert loop.run_until(lambda: bool(done or program.crashed_by), deadline_s=300.0)
    assert not program.crashed_by
    loop.close()


def at_work() -> int:
    return sum(task.get_name() == f"streams of {ZONE}" for task in asyncio.all_tasks())


def made_anew(of_zones: ZoneStreams) -> float:
    return of_zones.context.metrics.counter(names.MAILBOXES_MADE_ANEW, ZONE).value


def test_a_zone_is_looked_after_once_at_a_time_and_again_when_that_is_over() -> None:
    async def scenario(of_zones: ZoneStreams, server: BusServer, _program: Program) -> None:
        server.trouble.unavailable = 1.0
        for _ in range(3):
            of_zones.look_after_all()
            await asyncio.sleep(8.0)  # longer than the bus is asked for
            assert at_work() == 1
        server.trouble.unavailable = 0.0
        await asyncio.sleep(8.0)
        assert at_work() == 0
        del server.streams[MAILBOX]
        of_zones.look_after_all()
        assert at_work() == 1
        await asyncio.sleep(1.0)
        assert MAILBOX in server.streams

    play(scenario)


def test_a_mailbox_without_leader_is_made_anew_once_the_patience_is_over() -> None:
    async def scenario(of_zones: ZoneStreams, server: BusServer, _program: Program) -> None:
        of_zones.begin()
        created_s = server.streams[MAILBOX].created_s
        server.lose_leader(MAILBOX)
        await asyncio.sleep(9.0)
        assert MAILBOX in server.leaderless
        await asyncio.sleep(9.0)
        assert MAILBOX not in server.leaderless
        assert server.streams[MAILBOX].created_s > created_s
        await asyncio.sleep(20.0)
        assert made_anew(of_zones) == 1

    play(scenario)


def test_an_ordinary_election_is_waited_for() -> None:
    async def scenario(of_zones: ZoneStreams, server: BusServer, _program: Program) -> None:
        of_zones.begin()
        for _ in range(4):
            server.lose_leader(MAILBOX)
            await asyncio.sleep(8.0)
            server.elect(MAILBOX)
            await asyncio.sleep(3.0)
        assert made_anew(of_zones) == 0

    play(scenario)


def test_a_mailbox_is_left_alone_while_the_log_has_no_leader_either() -> None:
    async def scenario(of_zones: ZoneStreams, server: BusServer, _program: Program) -> None:
        of_zones.begin()
        server.lose_leader(MAILBOX)
        server.lose_leader(streams.log(ZONE))
        await asyncio.sleep(60.0)
        assert made_anew(of_zones) == 0
        server.elect(streams.log(ZONE))
        await asyncio.sleep(30.0)
        assert made_anew(of_zones) == 1

    play(scenario)


def test_whoever_is_cut_off_makes_nothing_anew() -> None:
    async def scenario(of_zones: ZoneStreams, server: BusServer, program: Program) -> None:
        of_zones.begin()
        assert program.link is not None
        program.link.cut_off_server({name: stream.last for name, stream in server.streams.items()})
        server.lose_leader(MAILBOX)
        await asyncio.sleep(60.0)
        assert MAILBOX in server.leaderless
        assert made_anew(of_zones) == 0

    play(scenario)


def test_a_mailbox_that_somebody_deleted_is_soon_there_again() -> None:
    async def scenario(of_zones: ZoneStreams, server: BusServer, _program: Program) -> None:
        of_zones.begin()
        del server.streams[MAILBOX]
        await asyncio.sleep(3.0)  # long before the next round of looking after everything
        assert MAILBOX in server.streams

    play(scenario)


def test_an_owner_of_root_that_was_replaced_and_makes_mailboxes_anew_harms_nobody() -> None:
    """Nothing is sent again by time here: dispatchers have to see that the stream is another one."""
    plan = make_plan(3)
    plan = replace(plan, shape=replace(plan.shape, resend_s=1_000.0), faults=())
    assert len(plan.wishes) > 30
    run = Run(plan)
    for number in range(40):
        at_s = 2.0 + number * 0.4
        for zone in (ROOT, ZONE):
            run.loop.call_at(at_s, run.server.make_mailbox_anew, streams.mailbox(zone), context=run.loop.world)
    verdict = run.go()
    assert not verdict.violations
    assert sum(line.what == "made anew" for line in verdict.trace.lines) > 70
    assert sum(verdict.outcomes.values()) > 30


def test_a_new_owner_of_root_heals_the_mailbox_that_it_needs_itself() -> None:
    """Both mailboxes lose their leader for good, and every orchestrator dies before anybody's patience is over."""
    lost = (Fault(6.0, "leaderless_mailbox", zone, 5_000.0) for zone in (ROOT, ZONE))
    killed = (Fault(7.0, "kill", orchestrator, 3.0) for orchestrator in ("orchestrator-0", "orchestrator-1"))
    unit = (40.0, "vm.a", {"operation": "create", "spec": {"cpus": 1, "memory_mib": 64}})
    verdict = run_plan(plan_of(unit, end_s=90.0, faults=(*lost, *killed), orchestrators=2))
    assert not verdict.violations
    lines = [(line.at_s, str(line)) for line in verdict.trace.lines]
    assert {text.split()[-1] for _, text in lines if " made anew " in text} == {streams.mailbox(ROOT), MAILBOX}
    answered_s = [at_s for at_s, text in lines if ".vm.a completed " in text]
    assert [at_s < 90.0 for at_s in answered_s] == [True], "or leaders came back by themselves, when faults ended"
