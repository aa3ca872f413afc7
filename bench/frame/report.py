"""Makes `bench/RESULTS.md` and its plots out of the stored JSON: no figure in it is written by hand.

python -m bench.frame.report
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.frame.plots import draw
from bench.frame.result import RESULTS
from bench.frame.targets import TARGETS, Target, verdict

ORDER = (
    "path", "latency", "hot", "slow_device", "skew", "backlog", "size", "recovery", "hand_off", "scale", "tracing",
    "peers", "profile",
)  # fmt: skip
REPORT = RESULTS.parent / "RESULTS.md"
Result = Mapping[str, Any]


def read(results: Path = RESULTS) -> list[Result]:
    """All that is stored, in the order of the report, of each benchmark the newest first."""
    found: list[Result] = [json.loads(path.read_text()) for path in results.glob("*.json")]
    found.sort(key=lambda result: str(result["at"]), reverse=True)
    known = sorted({result["name"] for result in found} - set(ORDER))
    return [result for name in (*ORDER, *known) for result in found if result["name"] == name]


def newest(results: Sequence[Result]) -> list[Result]:
    """Of each benchmark the newest."""
    return list({result["name"]: result for result in reversed(results)}.values())[::-1]


def markdown(results: Sequence[Result]) -> str:
    """The whole report: the newest of each benchmark, and for each target the newest that has its figure."""
    lines = [
        "# Results",
        "",
        "Made by `python -m bench.frame.report` from `bench/results/*.json`; `make bench` measures a short form anew,",
        "`make bench-full` all sizes; the newest result of each is shown. All programs, servers and the client",
        "share one machine, so only ratios within a run say anything about another machine. The load average tells how",
        "busy the machine was with other things before and after: with it well above 0 before a run, rates and",
        "latencies are those of a busy machine.",
        "",
        *_machine(newest(results)),
        "## Targets",
        "",
        "| target | aim | must | measured | size of run | commit | load before | |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(_target(target, results) for target in TARGETS),
        "",
    ]
    for result in newest(results):
        lines += _section(result)
    missing = [name for name in ORDER if name not in {result["name"] for result in results}]
    if missing:
        lines += ["## Not run", "", *(f"- `{name}`" for name in missing), ""]
    return "\n".join(lines)


def number(value: Any) -> str:
    """Three significant digits, thousands with commas."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    if isinstance(value, int) or abs(value) >= 100:
        return f"{round(value):,}"
    return f"{value:.3g}"


def _machine(results: Sequence[Result]) -> list[str]:
    seen: dict[str, list[str]] = {}
    for result in results:
        machine, versions = result["machine"], result["versions"]
        text = (
            f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB, {machine['system']}; "
            + ", ".join(f"{name} {number}" for name, number in versions.items())
        )
        seen.setdefault(text, []).append(result["name"])
    return [f"- {text} ({', '.join(names)})" for text, names in seen.items()] + [""]


def _target(target: Target, results: Sequence[Result]) -> str:
    source = next((result for result in results if target.figure in result["figures"]), None)
    figures = source["figures"] if source else {}
    value = figures.get(target.figure)
    measured = f"{number(value)} {target.unit}".strip() if value is not None else ""
    run = (source["size"], source["commit"], number(source["load_average"]["begin"])) if source else ("", "", "")
    aim, must = (f"{number(bound)} {target.unit}".strip() for bound in (target.aim, target.must))
    cells = (target.sentence, aim, must, measured, *run, verdict(target, figures))
    return f"| {' | '.join(cells)} |"


def _section(result: Result) -> list[str]:
    load = result["load_average"]
    lines = [
        f"## {result['name'].replace('_', ' ')}",
        "",
        result["question"].strip(),
        "",
        f"Size {result['size']}, commit {result['commit']}, {result['at']}, {number(result['seconds'])} s; "
        f"load average {number(load['begin'])} before, {number(load['end'])} after.",
        "",
    ]
    if result["failure"]:
        lines += [f"**It did not end well:** {result['failure']}", ""]
    for title, rows in result["tables"].items():
        lines += [f"**{title}**", "", *_table(rows), ""]
    for note in result["notes"]:
        lines += [f"- {note}"]
    if result["notes"]:
        lines.append("")
    if result["name"] in PLOTTED:
        lines += [f"![{result['name']}](plots/{result['name']}.svg)", ""]
    return lines


def _table(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    columns = list(dict.fromkeys(column for row in rows for column in row))
    return [
        "| " + " | ".join(_heading(column) for column in columns) + " |",
        "|" + " --- |" * len(columns),
        *("| " + " | ".join(number(row.get(column)) for column in columns) + " |" for row in rows),
    ]


def _heading(column: str) -> str:
    if column == "per_s":
        return "units/s"
    for end, unit in (("_per_s", "/s"), ("_ms", "ms"), ("_mb", "MB"), ("_bytes", "bytes"), ("_s", "s"), ("_us", "us")):
        if column.endswith(end):
            return f"{column.removesuffix(end).replace('_', ' ')} ({unit})"
    return column.replace("_", " ")


PLOTTED = ("path", "latency", "scale", "size", "peers")


def main() -> None:
    results = read()
    draw([result for result in newest(results) if result["name"] in PLOTTED], RESULTS.parent / "plots")
    REPORT.write_text(markdown(results))
    print(f"wrote {REPORT.relative_to(Path.cwd()) if REPORT.is_relative_to(Path.cwd()) else REPORT}")


if __name__ == "__main__":
    main()
