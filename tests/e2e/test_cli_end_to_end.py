"""The command against a whole data centre: NATS, the device simulator and every service, as `treeward up` runs them."""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.support.command import TREEWARD, call

from treeward.runtime.embedded_nats import free_port

DATA = Path(__file__).parents[1] / "data"
START_S = 60.0
pytestmark = pytest.mark.timeout(240)

TOPOLOGY = """\
zones:
  zone-a:
    pods:
      pod-1:
        hosts:
          host-1: {cpus: 8, memory_mib: 8192}
"""


@dataclass(frozen=True, slots=True)
class Centre:
    """A running data centre."""

    url: str
    folder: Path

    def call(self, *arguments: str, code: int = 0) -> str:
        """Standard output of a command, which must end with this exit code."""
        return call(*arguments, url=self.url, code=code).out

    def rows(self, *arguments: str, code: int = 0) -> list[dict[str, Any]]:
        """What a command says in JSON lines."""
        return call(*arguments, "--json", url=self.url, code=code).rows


@pytest.fixture(scope="module")
def centre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Centre]:
    folder = tmp_path_factory.mktemp("centre")
    (folder / "topology.yaml").write_text(TOPOLOGY)
    port = free_port()
    arguments = ["up", "--data", str(folder / "data"), "--port", str(port), "--topology", str(folder / "topology.yaml")]
    with (folder / "out").open("w") as out:
        up = subprocess.Popen(
            [TREEWARD, *arguments, "--agents", "2"],
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
            start_new_session=True,
        )
    late = threading.Timer(START_S, up.kill)
    late.start()
    try:
        assert up.stdout is not None
        assert any(line.startswith("Ready") for line in up.stdout), (folder / "out").read_text()
        late.cancel()
        drain = threading.Thread(target=lambda: list(up.stdout or ()), daemon=True)
        drain.start()
        yield Centre(f"nats://127.0.0.1:{port}", folder)
    finally:
        late.cancel()
        up.send_signal(signal.SIGINT)
        try:
            up.wait(30)
        except subprocess.TimeoutExpired:
            os.killpg(up.pid, signal.SIGKILL)
            up.wait()


def test_a_vm_exists_briefly_and_is_then_gone(centre: Centre) -> None:
    created, *_ = centre.rows("submit", "zone-a.vm.web-1", "create", "--spec", '{"cpus":2}', "--wait")
    assert created["outcome"] == "completed" and created["event"]["host"] == "host-1"
    destroyed, *_ = centre.rows("submit", "zone-a.vm.web-1", "destroy", "--wait")
    assert destroyed["ticket"] > created["ticket"] and destroyed["event"]["removed"]
    (rejected,) = centre.rows("submit", "zone-a.vm.web-1", "stop", "--wait", code=1)
    assert rejected["outcome"] == "rejected"
    events = centre.rows("events", "zone-a.vm.web-1", "--since", "all", "--no-follow")
    outcomes = [(row["type"], row["operation"]) for row in events if row["type"] in ("completed", "rejected")]
    assert outcomes == [("completed", "create"), ("completed", "destroy"), ("rejected", "stop")]
    assert [row["position"] for row in events] == sorted({row["position"] for row in events})


def test_many_units_from_a_file_are_answered(centre: Centre) -> None:
    lines = [
        {"address": f"zone-a.vm.many-{number}", "operation": operation, **({"spec": {"cpus": 0.1}} if create else {})}
        for operation, create in (("create", True), ("destroy", False))
        for number in range(20)
    ]
    (centre.folder / "units").write_text("\n".join(map(json.dumps, lines)))
    (summary,) = centre.rows("submit", "--file", str(centre.folder / "units"), "--wait")
    assert summary == {"accepted": 40, "refused": {}, "outcomes": {"completed": 40}}


def test_applying_again_changes_what_differs_and_nothing_else(centre: Centre) -> None:
    path = centre.folder / "changed.yaml"
    path.write_text(TOPOLOGY)
    assert centre.rows("apply", str(path)) == [{"submitted": 0, "unchanged": 3, "differences": []}]
    path.write_text(TOPOLOGY.replace("cpus: 8", "cpus: 16") + "          host-2: {cpus: 1, memory_mib: 64}\n")
    *steps, summary = centre.rows("apply", str(path))
    assert [(step["address"], step["operation"], step["result"]) for step in steps] == [
        ("zone-a.host.host-1", "resize", "completed"), ("zone-a.host.host-2", "create", "completed"),
    ]  # fmt: skip
    assert summary["unchanged"] == 2
    assert centre.rows("apply", str(path))[-1]["submitted"] == 0
    path.write_text(TOPOLOGY.replace("cpus: 8", "cpus: 16"))
    assert centre.rows("apply", str(path))[-1]["submitted"] == 0
    (step, _) = centre.rows("apply", str(path), "--prune")
    assert (step["address"], step["operation"], step["result"]) == ("zone-a.host.host-2", "destroy", "completed")


def test_questions_are_answered(centre: Centre) -> None:
    (created,) = centre.rows("submit", "zone-a.vm.asked", "create", "--wait")
    (waiting,) = centre.rows("submit", "zone-a.vm.large", "create", "--spec", '{"cpus":10000}')
    (state,) = centre.rows("state", "zone-a.vm.asked")
    assert state["exists"] and state["host"] == "host-1" and state["answered"] == created["ticket"]
    assert state["position"] > 0 and state["age_s"] >= 0 and state["doubt"] is None
    assert {row["id"] for row in centre.rows("state", "zone-a", "--kind", "vm")} >= {"asked"}
    centre.rows("state", "zone-a.vm.unheard", code=1)
    root, zone = (centre.rows("tree")[index] for index in (0, -1))
    assert root["zones"] == ["zone-a"] and root["owner"]["instance"]
    assert zone["pods"][0]["id"] == "pod-1" and zone["pods"][0]["hosts"][0]["id"] == "host-1"
    (explained,) = centre.rows("explain", f"zone-a:{waiting['ticket']}")
    assert explained["waits_for"] == "room" and explained["sentences"]
    assert "asked" in centre.call("explain", "zone-a.vm.asked")
    (queue,) = centre.rows("queued", "zone-a")
    assert [unit["ticket"] for unit in queue["units"]] == [waiting["ticket"]]
    centre.rows("submit", "zone-a.vm.large", "cancel", "--ticket", str(waiting["ticket"]), "--wait")
    centre.rows("submit", "zone-a.vm.asked", "destroy", "--wait")
    assert centre.rows("queued", "zone-a") == []


def replay(centre: Centre, name: str, *arguments: str, code: int = 0) -> dict[str, Any]:
    report = centre.folder / f"{name}.json"
    books = centre.folder / "data" / "device.sqlite"
    centre.call("replay", "openb", *arguments, "--device-data", str(books), "--report", str(report), code=code)
    read: dict[str, Any] = json.loads(report.read_text())
    return read


def test_a_replay_on_few_hosts_ends_with_everything_answered_and_nothing_violated(centre: Centre) -> None:
    plot = centre.folder / "plot.svg"
    report = replay(
        centre, "few", "--nodes", str(DATA / "openb_nodes.csv"), "--workloads", str(DATA / "openb_workloads.csv"),
        "--nodes-max", "3", "--zones", "1", "--pods-per-zone", "2", "--plot", str(plot),
    )  # fmt: skip
    assert report["fine"] and set(report["violations"].values()) == {0}
    assert report["judged_by_the_device"] and report["units"] == 240
    impossible = len(report["larger_than_every_host"])
    assert impossible >= 3
    assert report["outcomes"]["create"] == {"completed": 120 - impossible, "cancelled": impossible}
    assert report["outcomes"]["destroy"] == {"completed": 120 - impossible}
    assert report["queue_s"]["create"]["count"] == 120 - impossible
    assert plot.read_text().count("<g id=") > 10


def test_creates_that_find_no_room_to_the_end_are_cancelled(centre: Centre) -> None:
    """What is never deleted keeps its room: without a cancel the run would never end."""
    workloads = centre.folder / "for_ever.csv"
    header = (DATA / "openb_workloads.csv").read_text().splitlines()[0]
    rows = [f"ever-{number},100000,1024,0,0,,LS,Running,{number},,{number}" for number in range(4)]
    rows[3] = "ever-3,100000,1024,0,0,,LS,Running,3,9,3"
    workloads.write_text("\n".join([header, *rows, ""]))
    nodes = centre.folder / "one.csv"
    nodes.write_text("sn,cpu_milli,memory_mib,gpu,model\nnode-one,128000,65536,0,\n")
    names = ("--nodes", str(nodes), "--workloads", str(workloads), "--zones", "1", "--pods-per-zone", "1")
    report = replay(centre, "ever", *names, "--patience", "3", code=0)
    assert report["outcomes"] == {
        "create": {"completed": 1, "cancelled": 3}, "destroy": {"rejected": 1}, "cancel": {"completed": 3},
    }  # fmt: skip
    assert report["creates_cancelled_at_the_end"] == 3
    assert set(report["violations"].values()) == {0}
