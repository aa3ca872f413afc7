"""Only what is new or changed is submitted, and what no operation can change is said."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from treeward.cli.topology_plan import Plan, Step, plan_zone, plan_zones
from treeward.schemas.policies import Conflict, Policies, RestartPolicies
from treeward.schemas.topology import Topology, TopologyHost, TopologyPod, TopologyZone
from treeward.schemas.units import parse_unit


def host(cpus: float = 8, memory_mib: int = 1024, **more: Any) -> TopologyHost:
    return TopologyHost(cpus=cpus, memory_mib=memory_mib, **more)


ZONE = TopologyZone(pods={"p": TopologyPod(hosts={"h": host()}), "q": TopologyPod(labels={"rack": "1"})})


def found(zone: TopologyZone) -> dict[str, dict[str, Any]]:
    """What the logs say once everything of a zone has been created."""
    there: dict[str, dict[str, Any]] = {}
    for pod_name, pod in zone.pods.items():
        there[f"pod.{pod_name}"] = pod.spec().model_dump(mode="json", exclude={"policies"})
        for host_name, one in pod.hosts.items():
            there[f"host.{host_name}"] = one.spec(pod_name).model_dump(mode="json", exclude={"policies"})
    return there


def planned(zone: TopologyZone, there: dict[str, dict[str, Any]], *, prune: bool = False) -> Plan:
    return plan_zone("z", zone, there, prune=prune)


def test_zones_that_are_not_there_are_created_in_root() -> None:
    plan = plan_zones(Topology(zones={"a": ZONE, "b": TopologyZone(labels={"x": "y"})}), {"zone.a": {"labels": {}}})
    assert plan.steps == [Step("root", "zone.b", "create", {"labels": {"x": "y"}}, "new")]
    assert plan.unchanged == 1 and plan.differences == []


def test_a_new_host_waits_for_its_new_pod() -> None:
    steps = planned(ZONE, {}).steps
    assert [(step.key, step.operation, step.after) for step in steps] == [
        ("pod.p", "create", None), ("host.h", "create", "pod.p"), ("pod.q", "create", None),
    ]  # fmt: skip


def test_a_new_host_of_a_pod_that_is_there_waits_for_nothing() -> None:
    there = found(ZONE)
    del there["host.h"]
    (step,) = planned(ZONE, there).steps
    wanted = {**host().model_dump(exclude={"policies"}), "pod": "p"}
    assert (step.key, step.after, step.spec) == ("host.h", None, wanted)


def test_what_is_there_is_left_alone() -> None:
    plan = planned(ZONE, found(ZONE))
    assert (plan.steps, plan.last, plan.differences, plan.unchanged) == ([], [], [], 3)


def test_a_definition_without_its_defaults_is_the_same() -> None:
    there = {**found(ZONE), "host.h": {"pod": "p", "cpus": 8, "memory_mib": 1024}}
    assert planned(ZONE, there).steps == []


def test_a_host_with_other_capacities_is_resized_in_those_only() -> None:
    there = found(ZONE)
    there["host.h"]["cpus"] = 4
    assert planned(ZONE, there).steps == [Step("z", "host.h", "resize", {"cpus": 8.0}, "cpus")]


def test_what_cannot_be_changed_is_said_and_not_submitted() -> None:
    there = found(ZONE)
    there["pod.q"]["labels"] = {"rack": "2"}
    there["pod.q"]["device"] = "tcp://127.0.0.1:1"
    there["host.h"]["pod"] = "q"
    plan = planned(ZONE, there)
    assert plan.steps == []
    assert [text.partition(":")[0] for text in plan.differences] == ["host z/h", "pod z/q", "pod z/q"]
    assert all("destroy and create" in text for text in plan.differences)


def test_a_definition_of_a_later_version_is_said() -> None:
    there = {**found(ZONE), "pod.q": {"labels": "many"}}
    assert planned(ZONE, there).differences == ["pod z/q: exists in a form that this version cannot read"]


def test_nothing_is_destroyed_without_prune_and_pods_after_their_hosts_with_it() -> None:
    there = {**found(ZONE), "pod.old": {}, "host.old": {"pod": "old", "cpus": 1, "memory_mib": 1}, "vm.v": {}}
    assert planned(ZONE, there).steps == []
    plan = planned(ZONE, there, prune=True)
    assert [(step.key, step.operation) for step in plan.steps] == [("host.old", "destroy")]
    assert [(step.key, step.operation) for step in plan.last] == [("pod.old", "destroy")]


NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f"])
HOSTS = st.builds(host, st.sampled_from([1.0, 2.0]), st.sampled_from([512, 1024]), gpus=st.sampled_from([0.0, 1.0]))


@st.composite
def zones(draw: st.DrawFn) -> TopologyZone:
    hosts = draw(st.dictionaries(NAMES, HOSTS, max_size=5))
    pods = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    pod_of = {name: draw(st.sampled_from(pods)) for name in hosts}
    return TopologyZone(
        pods={pod: TopologyPod(hosts={name: hosts[name] for name in hosts if pod_of[name] == pod}) for pod in pods}
    )


def carried_out(there: dict[str, dict[str, Any]], plan: Plan) -> dict[str, dict[str, Any]]:
    """What is there when every unit of a plan is completed; the door takes each of them."""
    after = {key: dict(value) for key, value in there.items()}
    for step in (*plan.steps, *plan.last):
        body = (
            f'{{"operation":"{step.operation}"'
            + ("" if step.spec is None else f',"spec":{json.dumps(step.spec)}')
            + "}"
        )
        parse_unit(body.encode(), zone=step.zone, key=step.key)
        if step.operation == "destroy":
            del after[step.key]
        elif step.operation == "resize":
            after[step.key] |= step.spec or {}
        else:
            after[step.key] = dict(step.spec or {})
    return after


@given(zones(), zones())
def test_applying_twice_submits_nothing_the_second_time(before: TopologyZone, wanted: TopologyZone) -> None:
    there = carried_out(found(before), planned(wanted, found(before), prune=True))
    again = planned(wanted, there, prune=True)
    assert (again.steps, again.last) == ([], [])
    moved = {name for name in found(wanted) if there[name].get("pod") != found(wanted)[name].get("pod")}
    assert len(again.differences) == len(moved)
    assert {key for key in there if key not in moved} == {key for key in found(wanted) if key not in moved}


def test_policies_that_differ_are_configured_and_what_the_file_does_not_name_stays() -> None:
    policies = Policies(restarts_max=3, kinds={"vm": RestartPolicies(backoff_max_s=5.0)}, order=Conflict.SUPERSEDE)
    zone = TopologyZone(pods={"p": TopologyPod(policies=policies)})
    (new,) = planned(zone, {}).steps
    wanted = {"restarts_max": 3, "kinds": {"vm": {"backoff_max_s": 5.0}}, "order": "supersede"}
    assert (new.operation, new.spec) == ("create", {"labels": {}, "device": None, "policies": wanted})
    there = found(zone)
    there["pod.p"]["policies"] = wanted | {"restarts_max": 9, "restarts_per_s": 50.0}
    (step,) = planned(zone, there).steps
    assert (step.key, step.operation, step.spec) == ("pod.p", "configure", {"restarts_max": 3})
    there["pod.p"]["policies"] = wanted | {"restarts_per_s": 50.0}
    assert planned(zone, there).steps == []
