"""Reads openb's two files: the nodes of a cluster, and its workloads with the times at which they came and went.

Columns: `sn, cpu_milli, memory_mib, gpu, model` and `name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec, ...,
creation_time, deletion_time, scheduled_time`, times in seconds from the trace's beginning. `gpu_milli` is what a
workload takes of each of its `num_gpu` GPUs. Workloads that were never scheduled there are workloads all the same.
"""

import csv
import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from treeward.cli.output import CommandError

NODE_COLUMNS = ("sn", "cpu_milli", "memory_mib", "gpu")
WORKLOAD_COLUMNS = ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "creation_time")
PROBLEMS_SHOWN_MAX = 10

Row = dict[str, str]


class Size(NamedTuple):
    """What a node offers or a workload takes."""

    cpu_milli: int
    memory_mib: int
    gpu_milli: int

    def fits(self, room: "Size") -> bool:
        """Whether `room` has it."""
        return (
            self.cpu_milli <= room.cpu_milli and self.memory_mib <= room.memory_mib and self.gpu_milli <= room.gpu_milli
        )


class Node(NamedTuple):
    """A machine."""

    name: str
    size: Size
    model: str


class Workload(NamedTuple):
    """What becomes a VM. Times are seconds of the trace; `deleted_s` None: it is never deleted."""

    name: str
    size: Size
    created_s: float
    deleted_s: float | None


@dataclass(slots=True)
class Trace:
    """What was read, in order of creation, and how often something had to be mended or left out, with the reason."""

    nodes: list[Node]
    workloads: list[Workload]
    notes: Counter[str] = field(default_factory=Counter)


def read_trace(
    nodes: Path, workloads: Path, *, nodes_max: int | None = None, workloads_max: int | None = None
) -> Trace:
    """Read both files; of more than `nodes_max` nodes every n-th, so that all sorts stay; the first `workloads_max`.

    Raises CommandError, with file and line, for what is no such file.
    """
    notes: Counter[str] = Counter()
    machines = [node for number, row in _rows(nodes, NODE_COLUMNS) for node in _node(nodes, number, row, notes)]
    if nodes_max is not None and len(machines) > nodes_max:
        machines = [machines[index * len(machines) // nodes_max] for index in range(nodes_max)]
    work = [_workload(workloads, number, row) for number, row in _rows(workloads, WORKLOAD_COLUMNS)]
    # Stable: what came at the same time stays in the order of the file.
    work.sort(key=lambda read: -1.0 if read[0] is None else read[0].created_s)
    notes.update(note for one, mended in work if one is None for note in mended)
    kept = [(one, mended) for one, mended in work if one is not None][:workloads_max]
    notes.update(note for _, mended in kept for note in mended)
    vms = [one for one, _ in kept]
    for what, names in (("node", [node.name for node in machines]), ("workload", [one.name for one in vms])):
        doubled = [name for name, count in Counter(names).items() if count > 1]
        if doubled:
            raise CommandError(f"{what} {doubled[0]!r} is there twice; names must be unique")
    if not machines or not vms:
        raise CommandError(f"{nodes if not machines else workloads}: has no usable row")
    return Trace(machines, vms, notes)


def _rows(path: Path, columns: tuple[str, ...]) -> list[tuple[int, Row]]:
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            reader = csv.DictReader(lines)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
            if missing:
                raise CommandError(f"{path}:1: has no column {', '.join(missing)}; openb's files are expected")
            return [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(f"{path}: cannot be read ({error})") from None


def _node(path: Path, number: int, row: Row, notes: Counter[str]) -> list[Node]:
    cpu = _number(path, number, row, "cpu_milli")
    memory = _number(path, number, row, "memory_mib")
    if not cpu or not memory:
        notes["nodes without a size, left out"] += 1
        return []
    gpu = _number(path, number, row, "gpu") or 0
    return [Node(_name(row["sn"]), Size(int(cpu), int(memory), int(gpu * 1000)), (row.get("model") or "").strip())]


def _workload(path: Path, number: int, row: Row) -> tuple[Workload | None, list[str]]:
    """The workload of a row, and what had to be mended of it; None: it cannot be used."""
    created = _number(path, number, row, "creation_time")
    if created is None:
        return None, ["workloads without a creation time, left out"]
    mended = []
    deleted = _number(path, number, row, "deletion_time")
    if deleted is None:
        mended.append("workloads without a deletion time, never destroyed")
    elif deleted < created:
        mended.append("workloads deleted before they were created, destroyed at once")
        deleted = created
    cpu, memory = (int(_number(path, number, row, name) or 0) for name in ("cpu_milli", "memory_mib"))
    if cpu < 1 or memory < 1:
        mended.append("workloads without CPU or memory, given the least")
    if not (row.get("scheduled_time") or "").strip():
        mended.append("workloads that were never scheduled where they were recorded")
    gpus = _number(path, number, row, "num_gpu") or 0
    each = _number(path, number, row, "gpu_milli")
    gpu = int(gpus * (1000 if each is None else each))
    return Workload(_name(row["name"]), Size(max(cpu, 1), max(memory, 1), gpu), created, deleted), mended


def _number(path: Path, number: int, row: Row, column: str) -> float | None:
    """A number that is not negative; None if the field is empty or missing."""
    text = (row.get(column) or "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e15:
        raise CommandError(f"{path}:{number}: {column} {text!r}: must be a number, 0 or more, or empty")
    return value


def _name(text: str) -> str:
    """A name as an address can have it."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", (text or "").strip())[:64] or "unnamed"
