"""What has to be submitted so that a topology exists: a pure comparison of what is wanted with what is there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from treeward.schemas.address import ROOT
from treeward.schemas.policies import Policies
from treeward.schemas.specs import HostSpec, PodSpec, ZoneSpec
from treeward.schemas.topology import Topology, TopologyPod, TopologyZone
from treeward.supervision.policies import configured

Found = Mapping[str, Mapping[str, Any]]
"""What exists in a zone: key > definition."""

CAPACITIES = ("cpus", "memory_mib", "gpus", "disk_gib")
"""What `resize` of a host can change."""


@dataclass(frozen=True, slots=True)
class Step:
    """One unit to submit; `after` is the key of the step whose ticket it waits for."""

    zone: str
    key: str
    operation: str
    spec: dict[str, Any] | None
    why: str
    after: str | None = None


@dataclass(slots=True)
class Plan:
    """Units in two phases (the second when the first is answered), and what no operation can change."""

    steps: list[Step] = field(default_factory=list)
    last: list[Step] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    unchanged: int = 0


def plan_zones(topology: Topology, found: Found) -> Plan:
    """What root has to be asked; `found` is what exists in root."""
    plan = Plan()
    for name, zone in topology.zones.items():
        key = f"zone.{name}"
        if key not in found:
            plan.steps.append(Step(ROOT, key, "create", _dump(zone.spec()), "new"))
            continue
        plan.unchanged += 1
        _compare(plan, f"zone {name}", zone.spec(), _read(ZoneSpec, found[key]), ("labels",))
        _configure(plan, ROOT, key, zone.policies, found)
    return plan


def plan_zone(name: str, zone: TopologyZone, found: Found, *, prune: bool) -> Plan:
    """What a zone has to be asked; with `prune`, what the topology does not name of its pods and hosts is destroyed."""
    plan = Plan()
    for pod_name, pod in zone.pods.items():
        _plan_pod(plan, name, pod_name, pod, found)
    if prune:
        named = {f"pod.{pod}" for pod in zone.pods}
        named |= {f"host.{host}" for pod in zone.pods.values() for host in pod.hosts}
        for key in sorted(found.keys() - named):
            if key.startswith("host."):
                plan.steps.append(Step(name, key, "destroy", None, "not in the file"))
            elif key.startswith("pod."):
                plan.last.append(Step(name, key, "destroy", None, "not in the file"))
    return plan


def _plan_pod(plan: Plan, zone: str, name: str, pod: TopologyPod, found: Found) -> None:
    key = f"pod.{name}"
    after = None
    if key not in found:
        plan.steps.append(Step(zone, key, "create", _dump(pod.spec()), "new"))
        after = key
    else:
        plan.unchanged += 1
        _compare(plan, f"pod {zone}/{name}", pod.spec(), _read(PodSpec, found[key]), ("labels", "device"))
        _configure(plan, zone, key, pod.policies, found)
    for host_name, host in pod.hosts.items():
        host_key = f"host.{host_name}"
        wanted = host.spec(name)
        if host_key not in found:
            spec = _dump(wanted)
            plan.steps.append(Step(zone, host_key, "create", spec, "new", after))
            continue
        there = _read(HostSpec, found[host_key])
        _compare(plan, f"host {zone}/{host_name}", wanted, there, ("labels", "pod"))
        _configure(plan, zone, host_key, host.policies, found)
        sizes = {
            size: getattr(wanted, size)
            for size in CAPACITIES
            if there is None or getattr(wanted, size) != getattr(there, size)
        }
        if sizes:
            plan.steps.append(Step(zone, host_key, "resize", sizes, ", ".join(sizes)))
        else:
            plan.unchanged += 1


def _dump(spec: BaseModel) -> dict[str, Any]:
    """What its `create` says; policies only where there are any."""
    said = spec.model_dump(mode="json")
    policies = _policies(getattr(spec, "policies", None))
    said.pop("policies", None)
    return said | ({"policies": policies} if policies else {})


def _policies(policies: Policies | None) -> dict[str, Any]:
    return policies.model_dump(mode="json", exclude_none=True) if policies is not None else {}


def _configure(plan: Plan, zone: str, key: str, wanted: Policies | None, found: Found) -> None:
    """Policies that the file names and that differ; what it does not name stays as somebody has configured it."""
    there = found[key].get("policies") or {}
    change = {name: value for name, value in _policies(wanted).items() if configured(there, {name: value}) != there}
    if change:
        plan.steps.append(Step(zone, key, "configure", change, ", ".join(change)))


def _read(model: type[Any], definition: Mapping[str, Any]) -> Any:
    """A definition with its defaults; None if it is not of this form (a later version's)."""
    known = {name: value for name, value in definition.items() if name in model.model_fields}
    try:
        return model.model_validate(known)
    except ValidationError:
        return None


def _compare(plan: Plan, what: str, wanted: Any, there: Any, names: tuple[str, ...]) -> None:
    if there is None:
        plan.differences.append(f"{what}: exists in a form that this version cannot read")
        return
    for name in names:
        if getattr(wanted, name) != getattr(there, name):
            text = f"{what}: {name} is {getattr(there, name)!r}, the file says {getattr(wanted, name)!r}"
            plan.differences.append(f"{text}; destroy and create it to change that")
