"""Why a unit stays in WORK: others before it, what it was submitted with, and steering."""

from tests.explain.told import Told, reason, told
from tests.explain.trouble import SMALL, crashes, hangs
from tests.support.world import world

from treeward.schemas.address import ROOT
from treeward.schemas.api.explain import Wait


@reason("behind another unit of its resource", Wait.QUEUE, "Before it comes ticket ")
def behind_another_unit() -> Told:
    with world() as centre:
        hangs(centre)
        behind = centre.submit("vm.web-1", "start")
        centre.run_for(3.0)
        return told(centre, "vm.web-1", behind)


@reason("behind a unit in doubt", Wait.QUEUE, "Ticket 4 is in doubt: ")
def behind_a_unit_in_doubt() -> Told:
    with world(backoff_s_min=20.0) as centre:
        crashes(centre)
        behind = centre.submit("vm.web-1", "start")
        centre.run_for(1.0)
        return told(centre, "vm.web-1", behind)


@reason(
    "more units wait than a mailbox takes",
    Wait.QUEUE,
    "At most 4 units of a resource are in its mailbox; ",
)
def beyond_the_window() -> Told:
    with world(window=4) as centre:
        hangs(centre)
        behind = [centre.submit("vm.web-1", "stop") for _ in range(150)]
        centre.run_for(1.0)
        return told(centre, "vm.web-1", behind[-1])


@reason(
    "as many units of the pod are sent as may be", Wait.CREDIT, "The mailboxes of pod pod-1 hold 2 unanswered units"
)
def no_credit() -> Told:
    with world(window=2, credit=2) as centre:
        centre.done("vm.other", "create", spec=SMALL)
        hangs(centre)
        centre.submit("vm.web-1", "start")
        waiting = centre.submit("vm.other", "stop")
        centre.run_for(1.0)
        return told(centre, "vm.other", waiting)


@reason(
    "`after` a unit of a resource that it shares and that is not there yet",
    Wait.AFTER,
    "It waits, as it was submitted to, until ",
)
def after_a_volume_that_is_not_ready() -> Told:
    with world() as centre:
        volume = centre.submit("volume.data", "create", spec={"size_gib": 5_000})
        waiting = centre.submit("vm.web-1", "create", spec=SMALL, after=[volume])
        centre.run_for(2.0)
        return told(centre, "vm.web-1", waiting)


@reason(
    "it is cancelled, and that is not said yet",
    Wait.QUEUE,
    "It will not be started: `cancelled` is decided: by ticket ",
)
def cancelled() -> Told:
    with world() as centre:
        hangs(centre)
        waiting = centre.submit("vm.web-1", "start")
        centre.submit("vm.web-1", "cancel", ticket=waiting, reason="changed my mind", by="ada")
        centre.run_for(1.0)
        return told(centre, "vm.web-1", waiting)


@reason(
    "it is superseded, and that is not said yet",
    Wait.QUEUE,
    "It will not be started: `superseded` is decided: by ticket ",
)
def superseded() -> Told:
    with world() as centre:
        hangs(centre)
        waiting = centre.submit("vm.web-1", "start")
        centre.submit("vm.web-1", "destroy", order="supersede")
        centre.run_for(1.0)
        return told(centre, "vm.web-1", waiting)


@reason("its deadline is near", Wait.ROOM, "Its deadline, for the start, is in ")
def deadline_near() -> Told:
    with world() as centre:
        waiting = centre.submit("vm.web-1", "create", spec={"cpus": 64}, deadline=centre.rfc3339(in_s=30.0))
        centre.run_for(2.0)
        return told(centre, "vm.web-1", waiting)


@reason("the resource is paused", Wait.PAUSE, "Ticket 4 paused zone-a.vm.web-1 ")
def resource_paused() -> Told:
    with world() as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.done("vm.web-1", "pause", reason="looks odd", by="ada")
        waiting = centre.submit("vm.web-1", "stop")
        centre.run_for(150.0)
        return told(centre, "vm.web-1", waiting)


@reason("its pod is paused", Wait.PAUSE, "Ticket 4 paused pod pod-1 ")
def pod_paused() -> Told:
    with world() as centre:
        centre.done("vm.web-1", "create", spec=SMALL)
        centre.done("pod.pod-1", "pause", reason="firmware", by="ada")
        waiting = centre.submit("vm.web-1", "stop")
        centre.run_for(2.0)
        return told(centre, "vm.web-1", waiting)


@reason("its zone is paused", Wait.PAUSE, "Ticket 2 of root paused zone zone-a ")
def zone_paused() -> Told:
    with world() as centre:
        centre.done("zone.zone-a", "pause", zone=ROOT, reason="power test", by="ada")
        centre.run_for(2.0)
        waiting = centre.submit("vm.web-1", "create", spec=SMALL)
        centre.run_for(1.0)
        return told(centre, "vm.web-1", waiting)


@reason("its zone is being drained", Wait.ROOM, "There is no place for it: the zone is being drained: ")
def zone_draining() -> Told:
    with world() as centre:
        centre.done("zone.zone-a", "drain", zone=ROOT, reason="closes down", by="ada")
        centre.run_for(2.0)
        waiting = centre.submit("vm.web-1", "create", spec=SMALL)
        centre.run_for(1.0)
        return told(centre, "vm.web-1", waiting)


@reason("every pod with room is being drained", Wait.ROOM, "There is no place for it: the hosts that have room ")
def pod_draining() -> Told:
    with world() as centre:
        centre.done("pod.pod-1", "drain", reason="firmware", by="ada")
        waiting = centre.submit("vm.web-1", "create", spec=SMALL)
        centre.run_for(1.0)
        return told(centre, "vm.web-1", waiting)
