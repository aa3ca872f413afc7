"""Which programs a data centre consists of, and what each is told."""

from dataclasses import dataclass, field

from treeward.schemas.topology import Topology, TopologyHost, TopologyPod, TopologyZone

SIMULATOR = "device-simulator"


@dataclass(frozen=True, slots=True)
class Layout:
    """How many of each service; pod agents are dealt to the pods in turn, one for each unless said otherwise."""

    topology: Topology
    orchestrators: int = 2
    zone_supervisors: int = 2
    pod_agents: int | None = None
    settings: dict[str, str] = field(default_factory=dict)
    """Environment variables for every program, such as `TREEWARD_LOG_LEVEL`."""

    def services(self) -> dict[str, dict[str, str]]:
        """Name of each instance > its own environment; the name is that of its service and a number.

        Every instance may serve any zone, so that whatever dies has a successor; a pod agent's label only says which
        pod it is asked first for.
        """
        programs: dict[str, dict[str, str]] = {}
        for number in range(1, self.orchestrators + 1):
            programs[f"orchestrator-{number}"] = {}
        for number in range(1, self.zone_supervisors + 1):
            programs[f"zone-supervisor-{number}"] = {}
        pods = [pod for zone in self.topology.zones.values() for pod in zone.pods]
        count = len(pods) if self.pod_agents is None else self.pod_agents
        for number in range(1, count + 1):
            label = {"TREEWARD_LABELS": f"pod={pods[(number - 1) % len(pods)]}"} if pods else {}
            programs[f"pod-agent-{number}"] = label
        return programs


def service_of(name: str) -> str:
    """`pod-agent` of `pod-agent-3`."""
    return name.rpartition("-")[0] if name[-1].isdigit() else name


def default_topology(zones: int = 2, pods: int = 3, hosts: int = 4) -> Topology:
    """Zones `zone-a`..., pods `a1`..., hosts `a1-h1`..., each with 16 CPUs, 64 GiB of memory and 1 TiB of disk."""
    host = TopologyHost(cpus=16.0, memory_mib=65_536, disk_gib=1024)
    letters = "abcdefghijklmnopqrstuvwxyz"[:zones]
    return Topology(
        zones={
            f"zone-{letter}": TopologyZone(
                pods={
                    f"{letter}{pod}": TopologyPod(hosts={f"{letter}{pod}-h{n}": host for n in range(1, hosts + 1)})
                    for pod in range(1, pods + 1)
                }
            )
            for letter in letters
        }
    )
