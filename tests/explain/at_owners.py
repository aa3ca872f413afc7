"""Why a unit that could be sent goes nowhere: no place, or nobody who acts for it."""

from tests.explain.told import Told, reason, told
from tests.explain.trouble import SMALL, hangs
from tests.support.world import world

from treeward.schemas.api.explain import Wait


@reason("no host has room now", Wait.ROOM, "There is no place for it: no host has room for ")
def no_room() -> Told:
    with world() as centre:
        centre.done("vm.big", "create", spec={"cpus": 10})
        waiting = centre.submit("vm.web-1", "create", spec={"cpus": 10})
        centre.run_for(1.0)
        return told(centre, "vm.web-1", waiting)


@reason("no host is large enough", Wait.ROOM, "There is no place for it: larger than every host: ")
def too_large() -> Told:
    with world() as centre:
        waiting = centre.submit("vm.web-1", "create", spec={"cpus": 200})
        centre.run_for(1.0)
        return told(centre, "vm.web-1", waiting)


@reason("no host has the labels that it requires", Wait.ROOM, "There is no place for it: no host has the labels ")
def no_host_with_the_labels() -> Told:
    with world() as centre:
        waiting = centre.submit("vm.web-1", "create", spec=SMALL | {"requires": {"rack": "r9"}})
        centre.run_for(1.0)
        return told(centre, "vm.web-1", waiting)


@reason("its group is to be kept apart", Wait.ROOM, "its group 'database' does not allow another")
def group_is_kept_apart() -> Told:
    with world() as centre:
        spec = SMALL | {"anti_affinity": {"group": "database"}}
        centre.done("vm.database-1", "create", spec=spec)
        waiting = centre.submit("vm.database-2", "create", spec=spec)
        centre.run_for(1.0)
        return told(centre, "vm.database-2", waiting)


@reason("it left an isolated host, and there is no other", Wait.HAND_OFF, "Its last pod handed it off: ")
def handed_off_and_nowhere_to_go() -> Told:
    with world() as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.done("host.pod-1-h1", "isolate", reason="its power is off", by="ada")
        waiting = centre.submit("vm.web-1", "stop")
        centre.run_for(2.0)
        return told(centre, "vm.web-1", waiting)


@reason(
    "no agent has ever been there for its pod", Wait.OWNER, "Nobody has been claimed as the owner of pod pod-1 yet; "
)
def no_owner_of_the_pod_yet() -> Told:
    with world(agents=0, orphan_s=60.0) as centre:
        waiting = centre.submit("host.h1", "create", spec={"pod": "pod-1", "cpus": 1, "memory_mib": 16})
        centre.run_for(3.0)
        return told(centre, "host.h1", waiting)


@reason("the owner of its pod is gone", Wait.OWNER, "The owner of pod pod-1, agent-1-1, is suspected: silent for ")
def owner_of_the_pod_is_gone() -> Told:
    with world() as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.kill("agent-1")
        waiting = centre.submit("vm.web-1", "stop")
        centre.run_for(3.0)
        return told(centre, "vm.web-1", waiting)


@reason("the owner of its pod shuts down", Wait.OWNER, "agent-1-1 is shutting down and takes nothing more; ")
def owner_of_the_pod_shuts_down() -> Told:
    with world() as centre:
        centre.done("vm.other", "create", spec=SMALL)
        hangs(centre)
        centre.programs["agent-1"].stop()
        centre.run_for(0.5)
        waiting = centre.submit("vm.other", "stop")
        centre.run_for(0.5)
        return told(centre, "vm.other", waiting)


@reason("nobody owns its zone", Wait.OWNER, "The owner of zone zone-a, supervisor-1-1, is suspected: silent for ")
def no_owner_of_the_zone() -> Told:
    with world() as centre:
        centre.kill("supervisor-1")
        waiting = centre.submit("vm.web-1", "create", spec=SMALL)
        centre.run_for(3.0)
        return told(centre, "vm.web-1", waiting)


@reason("no orchestrator dispatches for its zone", Wait.NOTHING, "The dispatcher of zone-a did not answer within 0.5 s")
def no_dispatcher() -> Told:
    with world() as centre:
        centre.kill("orchestrator-1")
        waiting = centre.submit("vm.web-1", "create", spec=SMALL)
        centre.run_for(1.0)
        return told(centre, "vm.web-1", waiting)
