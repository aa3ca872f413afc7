"""An isolation that was asked for is carried out once and answered as it was, whoever dies or is cut off (ADR 14)."""

from tests.support.world import World, world

from treeward.schemas.events import EventType
from treeward.simulation.device import DeviceTrouble
from treeward.simulation.program import Program

HOST = "host.pod-1-h1"
SPEC = {"pod": "pod-1", "cpus": 16, "memory_mib": 65536}


def outcome_of(centre: World, ticket: int) -> EventType:
    centre.until(lambda: ("zone-a", ticket) in centre.answered, f"an outcome of {ticket}")
    return centre.answered["zone-a", ticket].type


def owner_of_the_pod(centre: World) -> Program:
    claim = [event for event in centre.events["pod.pod-1"] if event.type is EventType.CLAIMED][-1]
    (owner,) = (program for program in centre.programs.values() if program.instance == claim.owner)
    return owner


def test_what_was_fenced_is_completed_although_its_deadline_has_passed_and_a_cancel_has_come() -> None:
    """Trace (i): the agent dies before it hears of it; the next would have called `cancelled` what was fenced."""
    with world(agents=2) as centre:
        device = centre.device_of("pod-1")
        device.trouble = DeviceTrouble(eat=1.0)
        ticket = centre.submit(HOST, "isolate", deadline=centre.rfc3339(in_s=1.0))
        centre.until(lambda: device.isolated, "the device has fenced the host")
        centre.kill(owner_of_the_pod(centre).name)
        device.trouble = DeviceTrouble()
        centre.submit(HOST, "cancel", ticket=ticket)
        assert outcome_of(centre, ticket) is EventType.COMPLETED
        assert centre.answered["zone-a", ticket].isolated


def test_what_was_not_fenced_is_cancelled_and_never_is() -> None:
    """The same, but nothing has reached the device when the agent dies."""
    with world(agents=2) as centre:
        owner = owner_of_the_pod(centre)
        (link,) = owner.devices
        link.cut = True
        ticket = centre.submit(HOST, "isolate")
        centre.until(lambda: centre.owner_says(HOST, "pod-1").get("phase") == "called", "the call is on its way")
        centre.kill(owner.name)
        centre.submit(HOST, "cancel", ticket=ticket)
        assert outcome_of(centre, ticket) is EventType.CANCELLED
        assert not centre.device_of("pod-1").isolated


def test_a_request_of_a_replaced_owner_does_not_fence_the_host_that_was_made_anew() -> None:
    """Trace (ii): the way of a replaced agent to the device heals after its successor has made the host anew."""
    with world(agents=2) as centre:
        device, first = centre.device_of("pod-1"), owner_of_the_pod(centre)
        (link,) = first.devices
        link.cut = True
        ticket = centre.submit(HOST, "isolate")
        centre.until(lambda: centre.owner_says(HOST, "pod-1").get("phase") == "called", "the call is on its way")
        first.freeze()
        assert outcome_of(centre, ticket) is EventType.COMPLETED
        assert device.isolated
        centre.done(HOST, "destroy")
        centre.done(HOST, "create", spec=SPEC)
        link.cut = False
        centre.run_for(5.0)
        assert not device.isolated
        first.thaw()
        assert centre.done("vm.web-1", "create", spec={"cpus": 1, "memory_mib": 64}).host == "pod-1-h1"


def test_what_somebody_has_isolated_at_the_device_is_closed_in_the_log_and_nothing_goes_round() -> None:
    """A VM waits for its host, which the log would call open: then the log says so, and it waits without a word."""
    with world() as centre:
        centre.done("vm.web-1", "create", spec={"cpus": 1, "memory_mib": 64})
        centre.device_of("pod-1").isolated.add("zone-a.pod-1-h1")
        centre.run_for(70.0)  # rows are forgotten meanwhile
        ticket = centre.submit("vm.web-1", "stop")
        centre.until(lambda: centre.events[HOST][-1].isolated, "the log says that the host is isolated")
        assert centre.events[HOST][-1].type is EventType.DRIFTED
        centre.run_for(5.0)
        moves = len(centre.types("vm.web-1"))
        centre.run_for(60.0)
        assert len(centre.types("vm.web-1")) == moves, "it waits"
        said = " ".join(centre.explain(ticket=ticket).sentences)
        assert "pod-1-h1 (isolated)" in said, said
        said = " ".join(centre.explain(key=HOST).sentences)
        assert "It is isolated: nothing takes effect there" in said, said
        assert "drained" not in said, said
