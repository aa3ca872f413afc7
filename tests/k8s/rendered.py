"""Every overlay as kustomize renders it."""

import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

OVERLAYS = Path(__file__).parents[2] / "k8s" / "overlays"
NAMES = ("try", "production", "example-zone")
Document = dict[str, Any]


@lru_cache
def render(overlay: str) -> str:
    """The manifests of an overlay; raises FileNotFoundError where there is no kubectl."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise FileNotFoundError("kubectl")
    command = [kubectl, "kustomize", str(OVERLAYS / overlay)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@lru_cache
def documents(overlay: str) -> list[Document]:
    """The objects of an overlay."""
    return [document for document in yaml.safe_load_all(render(overlay)) if document]


def workloads(overlay: str) -> list[Document]:
    """What runs pods."""
    kinds = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")
    return [document for document in documents(overlay) if document["kind"] in kinds]


def template(workload: Document) -> Document:
    """What its pods are made from."""
    spec = workload["spec"]
    made: Document = (spec["jobTemplate"]["spec"] if workload["kind"] == "CronJob" else spec)["template"]
    return made
