"""openb's files are read as they are, with what is odd in them mended, counted and said."""

import re
from pathlib import Path

import pytest

from treeward.cli.output import CommandError
from treeward.cli.replay.invent import invent
from treeward.cli.replay.trace import Size, read_trace

DATA = Path(__file__).parents[1] / "data"
NODES = "sn,cpu_milli,memory_mib,gpu,model\nn-0,32000,1024,0,\nn-1,64000,2048,2,G2\n"
HEADER = (
    "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
)


def files(tmp_path: Path, rows: str, nodes: str = NODES) -> tuple[Path, Path]:
    (tmp_path / "n.csv").write_text(nodes)
    (tmp_path / "w.csv").write_text(HEADER + rows)
    return tmp_path / "n.csv", tmp_path / "w.csv"


def test_the_excerpt_of_the_tests_is_what_the_generator_invents() -> None:
    nodes, workloads = invent(nodes=12, workloads=120, seed=7)
    assert (DATA / "openb_nodes.csv").read_text() == nodes
    assert (DATA / "openb_workloads.csv").read_text() == workloads


def test_the_excerpt_has_each_oddity_of_the_recorded_trace() -> None:
    trace = read_trace(DATA / "openb_nodes.csv", DATA / "openb_workloads.csv")
    assert len(trace.nodes) == 12 and len(trace.workloads) == 120
    assert trace.notes["workloads that were never scheduled where they were recorded"] == 4
    assert trace.notes["workloads without CPU or memory, given the least"] == 3
    assert any(one.deleted_s == one.created_s for one in trace.workloads)


def test_sizes_and_times_are_read(tmp_path: Path) -> None:
    rows = "w-0,12000,512,1,460,,LS,Running,7,20,8\nw-1,500,64,8,1000,,LS,Running,7,20,8\n"
    trace = read_trace(*files(tmp_path, rows))
    assert [node.size for node in trace.nodes] == [Size(32_000, 1024, 0), Size(64_000, 2048, 2_000)]
    assert trace.workloads[0] == ("w-0", Size(12_000, 512, 460), 7.0, 20.0)
    assert trace.workloads[1].size.gpu_milli == 8_000
    assert not trace.notes


def test_what_is_odd_is_mended_and_counted(tmp_path: Path) -> None:
    rows = (
        "late,1000,10,0,0,,,,9,,\n"
        "early,,10,0,,,,,3,1,3\n"
        "nowhere,1000,10,0,0,,,,,5,\n"
        "same,1000,0,1,,,,,3,3,3\n"
    )  # fmt: skip
    trace = read_trace(*files(tmp_path, rows))
    assert [(one.name, one.size, one.created_s, one.deleted_s) for one in trace.workloads] == [
        ("early", Size(1, 10, 0), 3.0, 3.0),
        ("same", Size(1000, 1, 1000), 3.0, 3.0),
        ("late", Size(1000, 10, 0), 9.0, None),
    ]
    assert trace.notes == {
        "workloads without a creation time, left out": 1,
        "workloads without a deletion time, never destroyed": 1,
        "workloads deleted before they were created, destroyed at once": 1,
        "workloads without CPU or memory, given the least": 2,
        "workloads that were never scheduled where they were recorded": 1,
    }


def test_of_fewer_nodes_every_sort_stays_and_of_fewer_workloads_the_first(tmp_path: Path) -> None:
    nodes = "sn,cpu_milli,memory_mib,gpu,model\n" + "".join(f"n-{i},{1000 + i // 10},10,0,\n" for i in range(40))
    rows = "".join(f"w-{9 - i},1000,10,0,0,,,,{9 - i},20,1\n" for i in range(10))
    trace = read_trace(*files(tmp_path, rows, nodes), nodes_max=4, workloads_max=3)
    assert [node.size.cpu_milli for node in trace.nodes] == [1000, 1001, 1002, 1003]
    assert [one.name for one in trace.workloads] == ["w-0", "w-1", "w-2"]


def test_names_become_tokens(tmp_path: Path) -> None:
    trace = read_trace(*files(tmp_path, "a b/c,1000,10,0,0,,,,1,2,1\n"))
    assert trace.workloads[0].name == "a-b-c"


@pytest.mark.parametrize(
    ("rows", "holds"),
    [
        ("w,many,1,0,0,,,,1,2,3\n", "w.csv:2: cpu_milli 'many': must be a number"),
        ("w,1,1,0,0,,,,1,2,3\nv,1,1,0,0,,,,-1,2,3\n", "w.csv:3: creation_time '-1': must be a number, 0 or more"),
        ("w,1,nan,0,0,,,,1,2,3\n", "w.csv:2: memory_mib 'nan'"),
        ("w,1,1,0,0,,,,1,2,3\nw,1,1,0,0,,,,1,2,3\n", "workload 'w' is there twice"),
        ("", "w.csv: has no usable row"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_line(tmp_path: Path, rows: str, holds: str) -> None:
    with pytest.raises(CommandError, match=re.escape(holds)):
        read_trace(*files(tmp_path, rows))


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    nodes, workloads = files(tmp_path, "")
    with pytest.raises(CommandError, match="has no column sn, gpu"):
        read_trace(workloads, workloads)
    with pytest.raises(CommandError, match="cannot be read"):
        read_trace(nodes, tmp_path / "missing.csv")
