"""How often a device has refused to make something counts in one life: the next has its restarts anew (ADR 15)."""

from tests.support.pod_crowd import Crowd

from treeward.schemas.device import Status
from treeward.schemas.events import EventType
from treeward.supervision.limits import Limits

VM, HOST = "vm.a", "host.h1"


def refusing(key: str, verb: str) -> Status | None:
    """Makes nothing, and breaks off what its host is called for."""
    return Status.OK if key == HOST and verb == "synchronize" else Status.FAILED


def test_a_refusal_in_a_life_that_ended_with_its_host_counts_no_longer() -> None:
    crowd = Crowd(Limits(restarts_max=5, backoff_s_min=20.0, backoff_s_max=20.0))
    crowd.place(VM, existed=True, definition={"cpus": 1}, moved=5)
    crowd.device = refusing
    crowd.submit(VM, 5, "migrate")
    assert crowd.owner.describe(VM, crowd.now_s)["refusals"] == 1
    crowd.submit(HOST, 6)
    assert [event.reason for event in crowd.events(VM, EventType.CRASHED)] == ["the process of its host h1 crashed"]
    assert crowd.owner.describe(VM, crowd.now_s)["refusals"] == 0
