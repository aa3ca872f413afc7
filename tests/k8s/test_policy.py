"""What must hold of every manifest that is shipped, whoever wrote it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from tests.k8s.rendered import NAMES, OVERLAYS, Document, documents, template, workloads
from tests.tools.built import needs, tool

ROOT = Path(__file__).parents[2]
JOBS = ("Job", "CronJob")
"""What ends by itself: neither probed nor spread."""
pytestmark = pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed: it renders k8s/")


def everything() -> list[object]:
    if shutil.which("kubectl") is None:
        return []
    return [
        pytest.param(overlay, workload, id=f"{overlay}-{workload['metadata']['name']}")
        for overlay in NAMES
        for workload in workloads(overlay)
    ]


def pod_of(workload: Document) -> Document:
    pod: Document = template(workload)["spec"]
    return pod


def labels_of(workload: Document) -> dict[str, str]:
    labels: dict[str, str] = template(workload)["metadata"]["labels"]
    return labels


def test_every_overlay_is_looked_at() -> None:
    assert {path.name for path in OVERLAYS.iterdir()} == set(NAMES)


@pytest.mark.parametrize(("overlay", "workload"), everything())
def test_a_pod_is_restricted(overlay: str, workload: Document) -> None:
    pod = pod_of(workload)
    security = pod["securityContext"]
    assert security["runAsNonRoot"] is True and security["runAsUser"] == 10001
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not any(pod.get(host) for host in ("hostNetwork", "hostPID", "hostIPC"))
    for volume in pod.get("volumes", []):
        assert set(volume) - {"name"} <= {"configMap", "secret", "emptyDir", "projected", "persistentVolumeClaim"}
        if "emptyDir" in volume:
            assert "sizeLimit" in volume["emptyDir"], volume
    for container in (*pod["containers"], *pod.get("initContainers", [])):
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False and own["readOnlyRootFilesystem"] is True
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert "privileged" not in own and "runAsUser" not in own


@pytest.mark.parametrize(("overlay", "workload"), everything())
def test_a_pod_has_no_way_to_the_kubernetes_api(overlay: str, workload: Document) -> None:
    pod = pod_of(workload)
    assert pod["automountServiceAccountToken"] is False and pod["enableServiceLinks"] is False
    accounts = [one for one in documents(overlay) if one["kind"] == "ServiceAccount"]
    (account,) = [one for one in accounts if one["metadata"]["name"] == pod["serviceAccountName"]]
    assert account["automountServiceAccountToken"] is False
    users = [one for one in workloads(overlay) if pod_of(one)["serviceAccountName"] == pod["serviceAccountName"]]
    assert len(users) == 1, "each workload has an account of its own"
    assert not [one for one in documents(overlay) if one["kind"].endswith(("Role", "RoleBinding"))]


@pytest.mark.parametrize(("overlay", "workload"), everything())
def test_a_pod_is_probed_bounded_and_pinned(overlay: str, workload: Document) -> None:
    pod = pod_of(workload)
    for container in pod["containers"]:
        assert re.search(r"(:(?!latest)[\w.-]+|@sha256:[0-9a-f]{64})$", container["image"]), container["image"]
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert "memory" in container["resources"]["limits"]
        if workload["kind"] in JOBS:
            continue
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()
        if labels_of(workload).get("treeward/service"):
            assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
            assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
            patience_s = container["livenessProbe"]["periodSeconds"] * container["livenessProbe"]["failureThreshold"]
            assert patience_s >= 60, "a restart is the last resort"
    if labels_of(workload).get("treeward/service"):
        from treeward.runtime.settings import Settings

        assert pod["terminationGracePeriodSeconds"] > Settings.model_fields["stop_timeout_s"].default + 5.0


@pytest.mark.parametrize(("overlay", "workload"), everything())
def test_a_workload_is_spread_and_evicted_one_by_one(overlay: str, workload: Document) -> None:
    if workload["kind"] in JOBS:
        return
    selector = workload["spec"]["selector"]["matchLabels"]
    assert selector.items() <= labels_of(workload).items()
    budgets = [one for one in documents(overlay) if one["kind"] == "PodDisruptionBudget"]
    own = [one for one in budgets if one["spec"]["selector"]["matchLabels"] == selector]
    assert len(own) == 1 and own[0]["spec"]["maxUnavailable"] == 1
    if workload["spec"]["replicas"] > 1:
        constraints = pod_of(workload)["topologySpreadConstraints"]
        assert {one["topologyKey"] for one in constraints} == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}
        assert all(one["labelSelector"]["matchLabels"].items() <= labels_of(workload).items() for one in constraints)


@pytest.mark.parametrize(("overlay", "workload"), everything())
def test_each_workload_has_one_nats_user_of_its_own(overlay: str, workload: Document) -> None:
    secrets = [volume["secret"]["secretName"] for volume in pod_of(workload).get("volumes", []) if "secret" in volume]
    keys = [name for name in secrets if name.startswith("nats-") and name != "nats-tls"]
    if not labels_of(workload).get("treeward/nats-client"):
        assert keys == []
        return
    name = workload["metadata"]["name"]
    assert keys == [f"nats-{name}"]
    others = [one for one in workloads(overlay) if one is not workload and one["metadata"]["name"] != name]
    for other in others:
        assert keys[0] not in str(pod_of(other).get("volumes"))


@pytest.mark.parametrize(("overlay", "workload"), everything())
def test_the_settings_are_those_of_the_key(overlay: str, workload: Document, tmp_path: Path) -> None:
    """What `treeward credentials` writes beside the seed is what the manifest sets."""
    zone = labels_of(workload).get("treeward/zone")
    if not labels_of(workload).get("treeward/nats-client"):
        return
    from treeward.cli.credentials_folder import CredentialsFolder

    CredentialsFolder(tmp_path).make([zone] if zone else [])
    base = workload["metadata"]["name"].removesuffix(f"-{zone}")
    name = f"{base}_{zone}" if zone else base
    wanted = dict(line.split("=", 1) for line in (tmp_path / f"{name}.env").read_text().splitlines())
    (container,) = pod_of(workload)["containers"]
    values = {one["name"]: one.get("value", "") for one in container["env"]}
    found = {key: value.replace("$(TREEWARD_ZONE)", zone or "") for key, value in values.items()}
    found.setdefault("TREEWARD_NATS_API_PREFIX", "$JS.API")
    del wanted["TREEWARD_NATS_NKEY_FILE"]
    assert wanted.items() <= found.items()


@pytest.mark.parametrize("overlay", [name for name in NAMES if name != "example-zone"])
def test_nothing_is_open_that_is_not_listed(overlay: str) -> None:
    policies = [one for one in documents(overlay) if one["kind"] == "NetworkPolicy"]
    deny = [one["spec"] for one in policies if one["spec"]["podSelector"] == {} and "ingress" not in one["spec"]]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in deny
    for policy in policies:
        for rule in (*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])):
            assert rule.get("ports"), f"{policy['metadata']['name']} opens every port"
    (namespace,) = [one for one in documents(overlay) if one["kind"] == "Namespace"]
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    services = [one for one in documents(overlay) if one["kind"] == "Service"]
    assert {one["spec"].get("type", "ClusterIP") for one in services} == {"ClusterIP"}
    assert not [one for one in documents(overlay) if one["kind"] in ("Ingress", "Secret")], "no secrets in git"


@pytest.mark.parametrize("overlay", [name for name in NAMES if name != "example-zone"])
def test_what_nats_acknowledges_is_on_the_disks_of_two(overlay: str) -> None:
    (server,) = [one for one in workloads(overlay) if one["metadata"]["name"] == "nats"]
    assert server["spec"]["replicas"] == 3
    (configuration,) = [
        one["data"]["nats.conf"] for one in documents(overlay) if "nats.conf" in (one.get("data") or {})
    ]
    assert re.search(r"^\s*sync_interval: always$", configuration, re.MULTILINE)
    mounts = {mount["name"]: mount["mountPath"] for mount in pod_of(server)["containers"][0]["volumeMounts"]}
    claims = [claim["metadata"]["name"] for claim in server["spec"]["volumeClaimTemplates"]]
    assert mounts[claims[0]] == re.findall(r"store_dir: (\S+)", configuration)[0]
    (settings,) = [one["data"] for one in documents(overlay) if one["metadata"]["name"] == "treeward-settings"]
    assert settings["TREEWARD_REPLICAS"] == "3"
    (job,) = [one for one in workloads(overlay) if one["kind"] == "Job"]
    assert pod_of(job)["containers"][0]["command"] == ["treeward", "provision", "--replicas", "3"]


@pytest.mark.parametrize(("overlay", "workload"), everything())
def test_a_lost_node_is_soon_made_up_for(overlay: str, workload: Document) -> None:
    """Kubernetes waits for five minutes by itself; our own programs may overlap with their successors at any time."""
    if workload["kind"] != "Deployment":
        return
    patience = {one["key"]: one["tolerationSeconds"] for one in pod_of(workload)["tolerations"]}
    assert patience == {f"node.kubernetes.io/{why}": 30 for why in ("unreachable", "not-ready")}


@pytest.mark.parametrize("overlay", [name for name in NAMES if name != "example-zone"])
def test_every_volume_is_mounted_where_it_is_written(overlay: str) -> None:
    found = workloads(overlay)
    assert found
    for workload in found:
        claims = [claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])]
        volumes = {volume["name"] for volume in pod_of(workload).get("volumes", [])} | set(claims)
        mounted = {mount["name"] for one in pod_of(workload)["containers"] for mount in one["volumeMounts"]}
        assert volumes == mounted, workload["metadata"]["name"]


def test_the_image_has_one_pinned_base_no_root_and_only_what_the_lock_has() -> None:
    text = (ROOT / "Dockerfile").read_text()
    (base,) = re.findall(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
    assert re.search(r":\d+\.\d+\.\d+-[\w.-]+@sha256:[0-9a-f]{64}$", base), "pinned, and readable"
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"${BASE}"}
    stages = re.split(r"^FROM ", text, flags=re.MULTILINE)
    assert "USER 10001:10001" in stages[-1] and "pip install" not in stages[-1]
    for install in re.findall(r"pip install [^&\n]*", text):
        assert "--require-hashes" in install or "--no-index" in install, install
    assert re.search(r"^CMD \[", stages[-1], re.MULTILINE), "process 1 is the program, so it hears SIGTERM"


def test_production_is_encrypted() -> None:
    (settings,) = [one["data"] for one in documents("production") if one["metadata"]["name"] == "treeward-settings"]
    assert all(url.startswith("tls://") for url in settings["TREEWARD_NATS_URL"].split(","))
    clients = [one for one in workloads("production") if labels_of(one).get("treeward/nats-client")]
    assert len(clients) >= 4
    for workload in clients:
        mounts = pod_of(workload)["containers"][0]["volumeMounts"]
        assert settings["TREEWARD_NATS_TLS_CA_FILE"].rpartition("/")[0] in {one["mountPath"] for one in mounts}
    (configuration,) = [one["data"] for one in documents("production") if "nats.conf" in (one.get("data") or {})]
    assert "verify: true" in configuration["route-tls.conf"] and "cert_file" in configuration["client-tls.conf"]


def test_the_settings_of_the_manifests_are_settings() -> None:
    from treeward.runtime.settings import Settings

    known = {f"TREEWARD_{name.upper()}" for name in Settings.model_fields}
    for overlay in NAMES:
        used = set(re.findall(r"TREEWARD_[A-Z_]+", yaml.dump(documents(overlay))))
        assert used - known <= {"TREEWARD_DEVICE_DATA", "TREEWARD_DEVICE_LISTEN", "TREEWARD_DEVICE_CONTROL"}


@needs("jaeger", "`make tools` builds it, with Go")
@pytest.mark.parametrize("component", ["collector", "jaeger"])
def test_the_configuration_is_one_that_jaeger_takes(component: str) -> None:
    configuration = ROOT / "k8s" / "components" / component / "config.yaml"
    command = [tool("jaeger"), "validate", "--config", str(configuration)]
    done = subprocess.run(
        command, env={"TRACES_ENDPOINT": "http://127.0.0.1:4318"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
