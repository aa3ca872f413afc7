"""What must be read before anything is done, in virtual time: by a dispatcher that begins, and by a zone's owner."""

from tests.support.world import ZONE, world

from treeward.schemas import streams


def test_a_dispatcher_that_begins_believes_no_replica_that_is_behind_the_end_of_the_log() -> None:
    """It asks for that end first. A replica that still has them in their pod would have them sent there for ever."""
    with world() as centre:
        keys = [f"vm.gone-{number}" for number in range(8)]
        for key in keys:
            centre.done(key, "create")
        for key in keys:
            centre.done(key, "destroy")
        centre.programs["orchestrator-1"].kill()
        centre.run_for(1.0)
        tickets = [centre.submit(key, "create") for key in keys]
        centre.server.trouble.replica_lag = 1.0
        centre.start("orchestrator-1")
        centre.until(lambda: all((ZONE, ticket) in centre.answered for ticket in tickets), "an outcome of each")


def test_a_new_owner_of_a_zone_reads_in_the_log_what_its_bucket_does_not_say_yet() -> None:
    """A bucket may stand still for half a minute: it would give a place away that is taken (PROTOCOL H10)."""
    with world(supervisors=2, cpus=1) as centre:
        centre.server.stall(streams.state(ZONE))
        centre.done("vm.first", "create", spec={"cpus": 1})
        owner = centre.events["zone.zone-a"][-1].owner or ""
        centre.kill(owner.rpartition("-")[0])
        centre.until(lambda: centre.events["zone.zone-a"][-1].owner != owner, "another owner")
        waiting = centre.submit("vm.second", "create", spec={"cpus": 1})
        centre.run_for(20.0)
        assert (ZONE, waiting) not in centre.answered
        assert "placed" not in centre.types("vm.second")
        centre.done("vm.first", "destroy")
        centre.until(lambda: (ZONE, waiting) in centre.answered, "a place")
