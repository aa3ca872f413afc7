"""The `nats` command against the cluster: from this machine, and from a pod with a key of its own."""

import asyncio
import json
import re
import secrets
from typing import Any, NamedTuple

from tests.k8s.live import jaeger
from tests.k8s.live.kubectl import Kubectl
from tests.k8s.live.site import SUBMITTER, Site
from tests.support.credentials import rights_of

POD = "nats-cli"
CREATE = '{"operation":"create","spec":{"cpus":0.1,"memory_mib":64}}'
DESTROY = '{"operation":"destroy"}'


class Submitted(NamedTuple):
    """What the command said, and what Jaeger has of it."""

    where: str
    command: str
    printed: str
    ticket: int
    trace: jaeger.Trace | None


def arguments(site: Site, seed: str, subject: str, body: str, trace_id: str) -> list[str]:
    """`nats pub` with a receipt, in a trace of the caller's."""
    inbox = rights_of(site.keys, SUBMITTER).inbox_prefix
    context = f"traceparent:00-{trace_id}-{secrets.token_hex(8)}-01"
    login = ["--nkey", seed, "--inbox-prefix", inbox]
    return [*login, "pub", "-J", "--no-templates", "-H", context, subject, body]


async def outside(site: Site, program: str, name: str, body: str) -> Submitted:
    """Submit from this machine."""
    trace_id = secrets.token_hex(16)
    words = arguments(site, str(site.keys / f"{SUBMITTER}.nk"), f"tw.work.zone-a.vm.{name}", body, trace_id)
    process = await asyncio.create_subprocess_exec(
        program, "--server", ",".join(site.urls), *words,
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return await _submitted(site, "outside", f"nats pub -J {name} {body}", output.decode(), trace_id)


async def inside(site: Site, name: str, body: str) -> Submitted:
    """Submit from the pod."""
    trace_id = secrets.token_hex(16)
    words = arguments(site, "/etc/treeward/nats/seed.nk", f"tw.work.zone-a.vm.{name}", body, trace_id)
    command = ("/nats", "--server", "nats://nats-client:4222", *words)
    printed = await site.kubectl.text("exec", POD, "--", *command, errors_too=True)
    return await _submitted(site, "inside", f"nats pub -J {name} {body}", printed, trace_id)


async def start_pod(kubectl: Kubectl, image: str) -> None:
    """A pod that holds the submitter's key and the program `/nats`, under all the policies of the namespace."""
    await kubectl.text("apply", "--filename", "-", stdin=json.dumps(pod(image)))
    await kubectl.text("wait", "--for=condition=Ready", f"pod/{POD}", "--timeout=120s", timeout_s=130)


def pod(image: str) -> dict[str, Any]:
    """Its manifest."""
    secret = f"nats-{SUBMITTER}".replace("_", "-")
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": POD, "labels": {"app.kubernetes.io/name": POD, "treeward/nats-client": "true"}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [{
                "name": POD,
                "image": image,
                "command": ["/nats", "--server", "nats://nats-client:4222", "--nkey", "/etc/treeward/nats/seed.nk",
                            "--inbox-prefix", f"_INBOX_{SUBMITTER}", "sub", "tw.event.zone-a.vm.*.*"],
                "env": [{"name": "XDG_CONFIG_HOME", "value": "/tmp"}],  # the user has no home in any passwd
                "resources": {"limits": {"memory": "128Mi"}},
                "securityContext": {
                    "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                    "capabilities": {"drop": ["ALL"]},
                },
                "volumeMounts": [
                    {"name": "key", "mountPath": "/etc/treeward/nats"}, {"name": "tmp", "mountPath": "/tmp"},
                ],
            }],
            "volumes": [
                {"name": "key", "secret": {"secretName": secret, "defaultMode": 0o440}},
                {"name": "tmp", "emptyDir": {"sizeLimit": "16Mi"}},
            ],
        },
    }  # fmt: skip


async def _submitted(site: Site, where: str, command: str, printed: str, trace_id: str) -> Submitted:
    ticket = re.search(r"Stored in Stream: WORK_zone-a Sequence: ([\d,]+)", printed)
    assert ticket is not None, printed
    seen = await jaeger.trace(site.jaeger.port, trace_id)
    return Submitted(where, command, printed.strip(), int(ticket[1].replace(",", "")), seen)
