"""The policies that hold in a pod: of its resources, their hosts, the pod and the zone, as they were last read."""

from collections.abc import Sequence

from treeward.schemas.mailbox import Message
from treeward.supervision.limits import Limits
from treeward.supervision.obeying import obey
from treeward.supervision.policies import Budget, RestartPolicy, Said, budget_of, restart_policy
from treeward.supervision.row import Row


class PodPolicies:
    """What each branch above a process says; what was not read yet counts as said nothing."""

    def __init__(self, limits: Limits, pod: Said = None, zone: Said = None) -> None:
        self.pod = pod
        self.zone = zone
        self._limits = limits
        self._hosts: dict[str, Said] = {}

    def obey(self, row: Row, unit: Message) -> None:
        """A unit of a process is completed: what it says of the process holds, and of what is on it."""
        if obey(row, unit) and row.key.startswith("host."):
            self.learn_host(row.key.removeprefix("host."), row.policies)

    def knows(self, host: str) -> bool:
        """Whether it was read, or is being read, what a host says."""
        return host in self._hosts

    def learn_host(self, host: str, said: Said) -> None:
        """What a host says from now on."""
        self._hosts[host] = said

    def chain(self, row: Row) -> Sequence[Said]:
        """Who has a say in what holds for a process, nearest first."""
        return (row.policies, self._hosts.get(row.host) if row.host is not None else None, self.pod, self.zone)

    def restart_of(self, row: Row) -> RestartPolicy:
        """How a process of the pod is restarted."""
        return restart_policy(self._limits, row.key.partition(".")[0], self.chain(row))

    def budget(self) -> Budget:
        """What the pod may spend on restarts as a whole."""
        return budget_of(self._limits, (self.pod, self.zone))
