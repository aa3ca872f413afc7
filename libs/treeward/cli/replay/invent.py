"""Invents a trace in openb's format, so that a replay can be tried without the recorded one."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from random import Random

NODE_HEADER = ("sn", "cpu_milli", "memory_mib", "gpu", "model")
WORKLOAD_HEADER = (
    "name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "qos", "pod_phase",
    "creation_time", "deletion_time", "scheduled_time",
)  # fmt: skip
MACHINES = ((16_000, 65_536, 0, ""), (32_000, 131_072, 2, "M2"), (64_000, 262_144, 4, "M4"))
MEAN_LIFE_S = 3_000.0
MEAN_GAP_S = 60.0


def invent(*, nodes: int, workloads: int, seed: int) -> tuple[str, str]:
    """Two files as text: nodes of three sorts, and workloads, a few of them with the oddities that real ones have."""
    chance = Random(seed)
    machines = [(f"node-{index:04}", *MACHINES[index % len(MACHINES)]) for index in range(nodes)]
    rows, now_s = [], 0.0
    for index in range(workloads):
        now_s += chance.expovariate(1 / MEAN_GAP_S) if chance.random() > 0.1 else 0.0
        life_s = chance.expovariate(1 / MEAN_LIFE_S)
        rows.append(_workload(chance, index, int(now_s), int(now_s + life_s)))
    return _text(NODE_HEADER, machines), _text(WORKLOAD_HEADER, rows)


def _workload(chance: Random, index: int, created_s: int, deleted_s: int) -> tuple[object, ...]:
    cpu = chance.choice((500, 1_000, 2_000, 4_000, 8_000, 12_000))
    memory = cpu * chance.choice((1, 2, 4)) * 1024 // 1000
    gpus = chance.choice((0, 0, 1, 1, 2))
    gpu_milli = 0 if gpus == 0 else 1000 if gpus > 1 else chance.choice((250, 500, 1000))
    scheduled: object = created_s + chance.randrange(3)
    phase = "Running"
    if index % 29 == 7:  # deleted before it was ever scheduled
        scheduled, phase = "", "Pending"
    if index % 41 == 11:  # larger than every machine
        cpu = 1_000_000
    if index % 53 == 13:  # says nothing of its memory
        memory = 0
    if index % 59 == 17:  # comes and goes in the same second
        deleted_s = created_s
    return (
        f"work-{index:04}", cpu, memory, gpus, gpu_milli, "", "LS", phase, created_s, deleted_s, scheduled,
    )  # fmt: skip


def _text(header: tuple[str, ...], rows: Sequence[tuple[object, ...]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def write(directory: Path, *, nodes: int, workloads: int, seed: int) -> tuple[Path, Path]:
    """Write both files into a directory, which is made; returns their paths."""
    directory.mkdir(parents=True, exist_ok=True)
    paths = directory / "openb_nodes.csv", directory / "openb_workloads.csv"
    for path, text in zip(paths, invent(nodes=nodes, workloads=workloads, seed=seed), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths
