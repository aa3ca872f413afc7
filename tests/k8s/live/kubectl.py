"""`kubectl` as a program would use it; what it says on standard error becomes the error."""

import asyncio
import json
import os
import time
from collections.abc import Sequence
from typing import Any

NAMESPACE = "treeward"
POLL_S = 0.25
Document = dict[str, Any]


class KubectlError(Exception):
    """The command failed; the message is what it said."""


class Kubectl:
    """One cluster and one namespace of it; `KUBECONFIG` says which cluster, `KUBECTL` which program."""

    def __init__(self, namespace: str = NAMESPACE) -> None:
        self.program = os.environ.get("KUBECTL", "kubectl")
        self.namespace = namespace

    def command(self, *arguments: str) -> list[str]:
        """The whole command line."""
        return [self.program, "--namespace", self.namespace, *arguments]

    async def bytes(
        self, *arguments: str, stdin: bytes | None = None, timeout_s: float = 120.0, errors_too: bool = False
    ) -> bytes:
        """What the command prints; raises KubectlError."""
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments),
            stdin=asyncio.subprocess.PIPE if stdin is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(timeout_s):
                output, errors = await process.communicate(stdin)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise KubectlError(f"{' '.join(arguments)}: no end within {timeout_s:g} s") from None
        if process.returncode:
            raise KubectlError(f"{' '.join(arguments)}: {errors.decode(errors='replace').strip()}")
        return output + errors if errors_too else output

    async def text(
        self, *arguments: str, stdin: str | None = None, timeout_s: float = 120.0, errors_too: bool = False
    ) -> str:
        """The same as text."""
        given = None if stdin is None else stdin.encode()
        output = await self.bytes(*arguments, stdin=given, timeout_s=timeout_s, errors_too=errors_too)
        return output.decode(errors="replace").strip()

    async def items(self, kind: str, selector: str = "") -> list[Document]:
        """All objects of a kind, by label."""
        more = ("--selector", selector) if selector else ()
        found: list[Document] = json.loads(await self.bytes("get", kind, "--output", "json", *more))["items"]
        return found

    async def pods(self, name: str) -> list[Document]:
        """The pods of a workload (`app.kubernetes.io/name`) that are not on their way out."""
        found = await self.items("pods", f"app.kubernetes.io/name={name}")
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    async def until_complete(
        self, *, timeout_s: float, kinds: Sequence[str] = ("deployments", "statefulsets")
    ) -> dict[str, float]:
        """Wait until every workload is complete; returns when each was, in seconds from now. Raises TimeoutError."""
        begun_s = time.time()
        waited: dict[str, float] = {}
        missing: list[str] = []
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    every = [one for kind in kinds for one in await self.items(kind)]
                    names = {f"{one['kind'].lower()}/{one['metadata']['name']}": is_complete(one) for one in every}
                    missing = [name for name, complete in names.items() if not complete]
                    for name, complete in names.items():
                        if complete:
                            waited.setdefault(name, time.time() - begun_s)
                        else:
                            waited.pop(name, None)
                    if not missing:
                        return waited
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            raise KubectlError(f"after {timeout_s:g} s not complete: {', '.join(missing)}") from None


def is_complete(workload: Document) -> bool:
    """Whether the controller has seen the last change and all pods are new, ready, and the old ones are gone."""
    status, wanted = workload.get("status", {}), workload["spec"].get("replicas", 1)
    if status.get("observedGeneration", 0) < workload["metadata"]["generation"]:
        return False
    if workload["kind"] == "StatefulSet" and status.get("currentRevision") != status.get("updateRevision"):
        return False
    counts = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"))
    return all(count == wanted for count in counts)
