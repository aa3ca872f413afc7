"""What is done to the cluster while it works: pods are deleted, tiers are updated, nodes are drained and lost."""

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from time import time

from tests.k8s.live.kubectl import Kubectl, KubectlError

COMPLETE_S = 600.0
GONE_S = 180.0
KINDS = ("orchestrator", "zone-supervisor", "pod-agent", "nats", "device-simulator", "jaeger")
LABELS_OF_DNS = ("--selector=k8s-app=kube-dns", "--output=json")
TIERS = ("orchestrator", "zone-supervisor", "pod-agent", "nats")


@dataclass(slots=True)
class Act:
    """Something that was done, and when; seconds since 1970."""

    name: str
    target: str
    at_s: float
    complete_after_s: float = 0.0
    """Until every workload had all its pods ready again, as Kubernetes sees it."""
    until_s: float = 0.0
    """The next act begins here."""
    notes: dict[str, float] = field(default_factory=dict)


class Acts:
    """Does one thing at a time and waits until the cluster is whole again."""

    def __init__(
        self,
        kubectl: Kubectl,
        burden_of: Callable[[str, str], Awaitable[int]],
        look: Callable[[], Awaitable[None]],
        say: Callable[[str], None],
        rest_s: float,
    ) -> None:
        self._kubectl = kubectl
        self._burden_of = burden_of
        self._look = look
        self._say = say
        self._rest_s = rest_s
        self.done: list[Act] = []

    async def delete(self, name: str, *, at_once: bool) -> None:
        """Delete the pod of a workload that has most in hand: politely, or with SIGKILL and no warning."""
        pods = [pod["metadata"]["name"] for pod in await self._kubectl.pods(name)]
        burdens = {pod: await self._burden_of(name, pod) for pod in pods}
        target = max(burdens, key=lambda pod: burdens[pod])
        how = ("--grace-period=0", "--force") if at_once else ()
        act = self._begin(f"{'kill' if at_once else 'delete'} {name}", target)
        await self._kubectl.text("delete", "pod", target, "--wait=true", *how, timeout_s=GONE_S)
        act.notes["branches_in_hand"] = burdens[target]
        act.notes["gone_after_s"] = time() - act.at_s
        await self._whole(act)

    async def update(self, name: str, image: str) -> None:
        """Another image for every workload of that name, one pod after the other."""
        act = self._begin(f"update {name}", image)
        found = [
            *await self._kubectl.items("deployments", f"app.kubernetes.io/name={name}"),
            *await self._kubectl.items("statefulsets", f"app.kubernetes.io/name={name}"),
        ]
        for one in found:
            container = one["spec"]["template"]["spec"]["containers"][0]["name"]
            target = f"{one['kind'].lower()}/{one['metadata']['name']}"
            await self._kubectl.text("set", "image", target, f"{container}={image}")
        await self._whole(act)

    async def drain(self, node: str) -> None:
        """Take everything from a node within the budgets, and give the node back."""
        act = self._begin("drain node", node)
        try:
            await self._kubectl.text(
                "drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=300s",
                timeout_s=310.0,
            )  # fmt: skip
            act.notes["drained_after_s"] = time() - act.at_s
            await self._kubectl.until_complete(timeout_s=COMPLETE_S, kinds=("deployments",))
            act.notes["deployments_complete_after_s"] = time() - act.at_s
        finally:
            await self._kubectl.text("uncordon", node)
        await self._whole(act)

    async def cut(self, node: str, off: str, on: str) -> None:
        """Take a node's power by a command of the user's, until Kubernetes has replaced its pods; then give it back."""
        act = self._begin("power cut of node", node)
        await _shell(off, node)
        try:
            await self._kubectl.text(
                "wait", "--for=condition=Ready=Unknown", f"node/{node}", "--timeout=300s", timeout_s=310.0
            )
            act.notes["noticed_after_s"] = time() - act.at_s
            await self._kubectl.until_complete(timeout_s=COMPLETE_S, kinds=("deployments",))
            act.notes["deployments_complete_after_s"] = time() - act.at_s
        finally:
            await _shell(on, node)
            act.notes["power_back_after_s"] = time() - act.at_s
        await self._whole(act)

    async def node_to_lose(self) -> str:
        """A node whose loss leaves the simulator, cluster DNS and two NATS servers: without these nothing can go on."""
        pods = await self._kubectl.items("pods")
        names = json.loads(await self._kubectl.bytes("get", "pods", "--all-namespaces", *LABELS_OF_DNS))["items"]
        dns = {pod["spec"].get("nodeName") for pod in names}
        places: dict[str, list[str]] = {}
        for pod in pods:
            node, name = pod["spec"].get("nodeName"), pod["metadata"].get("labels", {}).get("app.kubernetes.io/name")
            if node is not None and name in KINDS:
                places.setdefault(node, []).append(name)
        fit = [
            (len(names), node)
            for node, names in places.items()
            if "device-simulator" not in names and names.count("nats") <= 1 and dns != {node}
        ]
        if not fit:
            raise KubectlError(f"every node has the simulator, all of DNS or two NATS servers: {places}")
        return max(fit)[1]

    def _begin(self, name: str, target: str) -> Act:
        if self.done:
            self.done[-1].until_s = time()
        act = Act(name, target, time())
        self.done.append(act)
        self._say(f"{name}: {target}")
        return act

    async def _whole(self, act: Act) -> None:
        await self._kubectl.until_complete(timeout_s=COMPLETE_S)
        act.complete_after_s = time() - act.at_s
        self._say(f"{act.name}: all pods ready after {act.complete_after_s:.1f} s")
        await asyncio.sleep(self._rest_s)
        await self._look()
        act.until_s = time()


async def _shell(command: str, node: str) -> None:
    words = [word.replace("{node}", node) for word in shlex.split(command)]
    process = await asyncio.create_subprocess_exec(*words, stdin=asyncio.subprocess.DEVNULL)
    if await process.wait():
        raise KubectlError(f"{' '.join(words)}: exit code {process.returncode}")
