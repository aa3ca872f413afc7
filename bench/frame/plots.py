"""One picture for each result that has more than a few rows to compare."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

Result = Mapping[str, Any]
QUANTILES = ("p50_ms", "p90_ms", "p99_ms", "p99.9_ms")


def draw(results: Sequence[Result], folder: Path) -> None:
    """Write `<name>.svg` for each result; the same figures make the same file."""
    mpl.use("agg")
    mpl.rcParams["svg.hashsalt"] = "treeward"
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        figure, axes = plt.subplots(figsize=(7.5, 3.2))
        title, drawn = _DRAWN[result["name"]]
        rows = result["tables"].get(title)
        if rows:
            axes.set_title(title, fontsize=9)
            drawn(axes, rows)
        figure.tight_layout()
        figure.savefig(folder / f"{result['name']}.svg", metadata={"Date": None})
        plt.close(figure)


def _path(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    labels = [row["durability"].replace(", ", ",\n", 1) for row in rows]
    places = range(len(rows))
    axes.bar([place - 0.2 for place in places], [row["floor_per_s"] for row in rows], 0.4, label="floor")
    axes.bar([place + 0.2 for place in places], [row["path_per_s"] for row in rows], 0.4, label="path")
    axes.set_xticks(list(places), labels, fontsize=7)
    axes.set_ylabel("units/s")
    axes.legend()


def _latency(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        label = f"{row['load']}, {row['durability']}"
        axes.plot(
            [name.removesuffix("_ms") for name in QUANTILES], [row[name] for name in QUANTILES], "o-", label=label
        )
    axes.set_yscale("log")
    axes.set_ylabel("ms")
    axes.legend(fontsize=6)


def _scale(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    axes.plot([row["resources"] for row in rows], [row["sum_us"] for row in rows], "o-")
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("resources")
    axes.set_ylabel("CPU us a unit")


def _size(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    rows = [row for row in rows if row["state"] == "all placed, idle"]
    for column in ("agent_mb", "dispatcher_mb", "zone_supervisor_mb", "nats_server_mb"):
        axes.plot(
            [row["resources"] for row in rows], [row[column] for row in rows], "o-", label=column.removesuffix("_mb")
        )
    axes.set_xscale("log")
    axes.set_xlabel("resources")
    axes.set_ylabel("MB resident")
    axes.legend(fontsize=7)


def _peers(axes: Any, rows: Sequence[Mapping[str, Any]]) -> None:
    axes.barh([row["system"] for row in rows], [row["per_s"] for row in rows])
    axes.set_xlabel("units/s")


_DRAWN = {
    "path": ("Units a second, closed loop, 1,000 resources, no device", _path),
    "latency": ("Latency, open loop, 1,000 resources, no device", _latency),
    "scale": ("Cost of a unit, 1,000 of so many resources in use", _scale),
    "size": ("Resident memory, one pod", _size),
    "peers": ("Units a second, closed loop, 1,000 resources", _peers),
}
"""Which table is drawn, and how."""
