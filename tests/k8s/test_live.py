"""What the trial on a cluster concludes from what it is told; the trial itself needs a cluster."""

from datetime import UTC, datetime
from typing import Any

import pytest
from tests.faults.load import Receipt
from tests.k8s.live.acts import Act
from tests.k8s.live.clients import pod
from tests.k8s.live.figures import cost_of
from tests.k8s.live.jaeger import seen_in
from tests.k8s.live.kubectl import is_complete

from treeward.runtime.judge import Books, Logged
from treeward.schemas.events import Event, EventType

DEPLOYMENT = {
    "kind": "Deployment",
    "metadata": {"generation": 3},
    "spec": {"replicas": 2},
    "status": {
        "observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
    },
}  # fmt: skip


def changed(**status: Any) -> dict[str, Any]:
    return {**DEPLOYMENT, "status": {**DEPLOYMENT["status"], **status}}  # type: ignore[dict-item]


def answer(ticket: int, at_s: float) -> Logged:
    at = datetime.fromtimestamp(at_s, UTC)
    return Logged(
        ticket,
        at_s,
        Event(type=EventType.COMPLETED, zone="zone-a", kind="vm", id="web-1", life=1, at=at, ticket=ticket),
    )


def test_a_workload_is_complete_when_all_its_pods_are_new_and_ready() -> None:
    assert is_complete(DEPLOYMENT)
    assert not is_complete(changed(observedGeneration=2)), "the controller has not seen the change"
    assert not is_complete(changed(replicas=3)), "an old pod is left"
    assert not is_complete(changed(readyReplicas=1))
    assert not is_complete({**DEPLOYMENT, "status": {}})
    rolling = {**changed(currentRevision="a", updateRevision="b"), "kind": "StatefulSet"}
    assert not is_complete(rolling)


def test_an_act_costs_what_the_units_asked_meanwhile_waited() -> None:
    answers = [(1, 100.2), (2, 103.0), (3, 103.1), (4, 120.0)]
    asked = [(1, 100.1), (2, 100.5), (3, 103.0), (4, 119.9)]
    books = Books([], [answer(number, at_s) for number, at_s in answers], [], [])
    receipts = [Receipt("zone-a", "vm.web-1", number, "", b"{}", at_s, at_s, 1) for number, at_s in asked]
    cost = cost_of(Act("kill", "a pod", at_s=100.0, until_s=110.0), books, receipts)
    assert cost.units == 3, "what was asked later is the next act's"
    assert cost.highest_s == pytest.approx(2.5) and cost.p50_s == pytest.approx(0.1)
    assert cost.silent_s == pytest.approx(6.9), "nothing was answered from 103.1 until the act was over"


def test_a_trace_with_a_missing_parent_is_not_whole() -> None:
    def span(name: str, number: str, parent: str | None) -> dict[str, Any]:
        references = [{"refType": "CHILD_OF", "spanID": parent}] if parent else []
        tags = [{"key": "treeward.life", "value": 7}]
        return {
            "spanID": number, "operationName": name, "references": references, "startTime": 5, "duration": 10,
            "tags": tags, "processID": "p1",
        }  # fmt: skip

    process = {"p1": {"serviceName": "pod-agent", "tags": [{"key": "service.instance.id", "value": "a-1"}]}}
    whole = seen_in("t", [{"spans": [span("submit", "1", "client"), span("process", "2", "1")], "processes": process}])
    assert whole is not None and whole.orphans == 0 and whole.lives == (7,) and whole.instances == ("a-1",)
    torn = seen_in("t", [{"spans": [span("submit", "1", None), span("process", "2", "9")], "processes": process}])
    assert torn is not None and torn.orphans == 1
    assert seen_in("t", []) is None


def test_the_client_in_the_cluster_is_as_restricted_as_everything_else() -> None:
    spec = pod("image:1")["spec"]
    assert spec["automountServiceAccountToken"] is False and spec["securityContext"]["runAsNonRoot"] is True
    assert spec["containers"][0]["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert spec["volumes"][0]["secret"]["secretName"] == "nats-submitter-ci"
