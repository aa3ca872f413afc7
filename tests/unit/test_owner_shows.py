"""What an operator sees in the metrics of owners and supervisors: units in doubt, branches without owner, claims."""

from typing import cast

from tests.support.pod_bench import EPOCH, LIMITS, Bench

from treeward.bus.interface import Bus
from treeward.runtime.child_watch import ChildWatch
from treeward.runtime.clock import SystemClock
from treeward.runtime.context import Context
from treeward.runtime.doubts import Doubts, is_in_doubt
from treeward.runtime.owned_branches import SHOW_S, OwnedBranches
from treeward.runtime.settings import Settings
from treeward.schemas.mailbox import Message
from treeward.schemas.presence import Heartbeat, Holding
from treeward.supervision.children import Children
from treeward.supervision.effects import Cause, ClaimBranch
from treeward.supervision.row import Phase, Row
from treeward.telemetry import names
from treeward.telemetry.logs import get_log
from treeward.telemetry.metrics import Metrics
from treeward.telemetry.traces import Tracer

KEY = "vm.a"


class Seen:
    """A bench and what a scrape would say of it."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.doubts = Doubts(self.bench.owner.rows, EPOCH, lambda: self.bench.now_s)

    def take(self) -> None:
        self.bench.send(KEY, 0, 0)
        self.bench.fetch(0)

    def synchronize(self) -> None:
        self.bench.device(0, "fine")

    def now(self) -> tuple[int, float]:
        return self.doubts.count(), self.doubts.oldest_s()


def called() -> Seen:
    seen = Seen()
    seen.take()
    seen.synchronize()
    assert len(seen.bench.requests) == 1
    return seen


def test_the_first_unit_that_a_new_owner_takes_is_in_doubt_until_the_device_has_spoken() -> None:
    """The owner before may have called it; in a life that this owner began, nobody else can have."""
    row = Row(KEY, EPOCH)
    row.phase = Phase.INITIALIZED
    assert not is_in_doubt(row, EPOCH)
    row.put(Message(epoch=EPOCH, life=EPOCH, ticket=2, previous=0, operation="kick"), window=3)
    assert row.take_next(0.0)
    assert is_in_doubt(row, EPOCH)
    row.phase = Phase.READY
    assert not is_in_doubt(row, EPOCH)
    seen = Seen()
    seen.take()
    assert seen.now() == (0, 0.0)


def test_a_unit_is_in_doubt_from_its_call_to_the_answer() -> None:
    seen = called()
    seen.bench.tick(3.0)
    assert seen.now() == (1, 3.0)
    seen.bench.device(0, "fine")
    seen.bench.device(0, "fine")
    assert seen.now() == (0, 0.0), "the device has spoken; that its outcome is on its way to the log is no doubt"


def test_a_unit_stays_in_doubt_through_the_crash_of_its_process() -> None:
    """The device says nothing: the life ends, and the unit's next life waits for the device as well."""
    seen = called()
    seen.bench.device(0, "fine")  # the device begins it
    seen.bench.tick(1.0)
    assert seen.now() == (1, 1.0)
    seen.bench.tick(LIMITS.call_timeout_s)
    while seen.bench.appends:
        seen.bench.acknowledge()
    assert seen.now() == (1, 6.0)
    seen.bench.tick(LIMITS.backoff_s_max)
    life, _, _ = seen.bench.state(KEY, seen.bench.last)
    again = Message(epoch=EPOCH, life=life, ticket=2, previous=0, operation="create", attempts=1)
    seen.bench.deliver(KEY, again)
    assert seen.bench.owner.rows[KEY].hand is again
    assert seen.now() == (1, 7.0), "taken again, and the device has still not said what became of it"


def test_the_next_unit_of_a_resource_does_not_inherit_the_age_of_the_one_before() -> None:
    seen = called()
    seen.bench.tick(4.0)
    assert seen.now() == (1, 4.0)
    for _ in range(2):
        seen.bench.device(0, "fine")
    while seen.bench.appends:
        seen.bench.acknowledge()
    seen.bench.tick(1.0)
    seen.bench.send(KEY, 0, 0)
    assert seen.now() == (1, 0.0)


# --- branches without an owner -----------------------------------------------------------------------------------


def shown(metrics: Metrics) -> dict[str, float]:
    lines = [line for line in metrics.render().decode().splitlines() if line.startswith(names.BRANCH_OWNED.name + "{")]
    return {line.partition('pod="')[2].partition('"')[0]: float(line.split()[-1]) for line in lines}


def heartbeat(*holds: tuple[str, int], leaving: bool = False) -> Heartbeat:
    return Heartbeat(
        service="pod-agent", instance="agent-1", name="agent-1", leaving=leaving,
        holds=[Holding(branch=branch, epoch=epoch) for branch, epoch in holds],
    )  # fmt: skip


def test_a_pod_is_owned_when_its_last_claim_names_an_instance_that_is_there_and_acts_in_it() -> None:
    metrics, children = Metrics(), Children(LIMITS, 0.0)
    owned = OwnedBranches(metrics, children)
    for pod in ("a1", "a2"):
        children.on_defined(f"zone-a.{pod}", 0.0)
    children.on_claimed("zone-a.a1", "agent-1", 7, 0.0)
    owned.show(10.0)
    assert shown(metrics) == {"a1": 0, "a2": 0}
    children.on_heartbeat(heartbeat(("zone-a.a1", 6)), 11.0)
    owned.show(11.0)
    assert shown(metrics)["a1"] == 0, "it acts in an epoch that has passed"
    children.on_heartbeat(heartbeat(("zone-a.a1", 7)), 12.0)
    owned.show(12.0)
    assert shown(metrics) == {"a1": 1, "a2": 0}
    children.on_heartbeat(heartbeat(("zone-a.a1", 7)), 12.5)
    owned.show(12.5 + LIMITS.suspicion_s + SHOW_S)
    assert shown(metrics)["a1"] == 0, "nothing was heard of it"


def test_a_pod_that_is_no_more_and_a_supervisor_that_is_replaced_show_nothing() -> None:
    metrics, children = Metrics(), Children(LIMITS, 0.0)
    owned = OwnedBranches(metrics, children)
    children.on_defined("zone-a.a1", 0.0)
    children.on_defined("zone-a.a2", 0.0)
    owned.show(10.0)
    children.on_removed("zone-a.a1")
    owned.show(20.0)
    assert shown(metrics) == {"a2": 0}
    owned.close()
    assert shown(metrics) == {}


# --- claims ------------------------------------------------------------------------------------------------------


def test_a_claim_is_counted_by_what_its_supervisor_had_noticed() -> None:
    metrics = Metrics()
    context = Context(
        bus=cast("Bus", None),  # to tell of a claim takes none
        clock=SystemClock(), log=get_log(), metrics=metrics, tracer=Tracer(None), settings=Settings(), limits=LIMITS,
        instance="supervisor", name="supervisor",
    )  # fmt: skip
    watch = ChildWatch(context, "zone-a", Children(LIMITS, 0.0))
    watch.tell(ClaimBranch("zone-a.a1", "agent-1", Cause.DISCONNECTED, "its connection is gone"))
    watch.tell(ClaimBranch("zone-a", "supervisor-2", Cause.SILENT, "silent for 2 s"), epoch=7)
    assert metrics.counter(names.TAKEOVERS, "zone-a", "pod", "disconnected").total == 1
    assert metrics.counter(names.TAKEOVERS, "zone-a", "zone", "silent").total == 1
