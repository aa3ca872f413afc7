"""A zone supervisor that ends hands over its zones and the pods it acts for itself, together and once."""

from tests.support.world import World, world

from treeward.schemas.events import EventType

KEY, POD = "vm.one", "pod.pod-1"


def owner_of_pod(centre: World) -> str:
    """The program that the pod's last claim names."""
    owner = centre.events[POD][-1].owner or ""
    return owner.rpartition("-")[0]


def test_a_call_under_way_in_an_orphaned_pod_ends_before_its_supervisor_says_that_it_leaves() -> None:
    """Its zone has nothing in hand; had it left for that alone, the pod would have been claimed amid the call."""
    with world(supervisors=2, agents=0, call_timeout_s=60.0) as centre:
        centre.until(lambda: "claimed" in centre.types(POD), "a supervisor acts for the pod")
        spec = {"pod": "pod-1", "cpus": 16, "memory_mib": 65_536, "disk_gib": 1000}
        centre.done("host.pod-1-h1", "create", spec=spec)
        centre.done(KEY, "create")
        centre.done("vm.two", "create")
        ending = owner_of_pod(centre)
        device = centre.device_of("pod-1")
        device.trouble.hang = 1.0
        ticket = centre.submit(KEY, "stop")
        centre.until(lambda: centre.books.entries[-1].ticket == ticket, "its call is under way")
        claims = centre.types(POD).count("claimed")
        program = centre.programs[ending]
        program.restarts = False
        program.stop()
        centre.run_for(15.0)  # nobody else acts for a pod sooner than that
        assert centre.types(POD).count("claimed") == claims, "nobody else is claimed for the pod amid the call"
        later = centre.submit("vm.two", "stop")
        centre.run_for(1.0)
        assert centre.books.entries[-1].ticket == ticket, "it takes no further unit"
        device.clear()
        centre.until(lambda: ("zone-a", later) in centre.answered, "the next owner goes on")
        assert not program.alive
        assert owner_of_pod(centre) != ending
        assert EventType.CRASHED.value not in centre.types(KEY)
        assert [entry.ticket for entry in centre.books.entries].count(ticket) == 1
