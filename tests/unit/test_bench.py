"""The frame of `bench/`: its quantiles, ratios and report say what was measured. No timing is asserted anywhere."""

import asyncio
import json
import re
from itertools import pairwise
from pathlib import Path

import pytest
from bench.frame import report
from bench.frame.histogram import Schedule, summary
from bench.frame.result import RESULTS, Figures, Size, median, run, store
from bench.frame.targets import TARGETS, Target, verdict
from bench.profile import costs


def test_a_quantile_is_a_sample_that_this_share_does_not_exceed() -> None:
    found = summary([number / 1000 for number in range(1, 1001)])
    assert found == pytest.approx(
        {"p50_ms": 500.0, "p90_ms": 900.0, "p99_ms": 990.0, "p99.9_ms": 999.0, "max_ms": 1000.0}
    )


def test_one_sample_is_every_quantile_and_none_has_none() -> None:
    assert set(summary([0.25]).values()) == {250.0}
    assert summary([]) == {}


def test_units_that_were_due_during_a_stall_count_from_when_they_were_due() -> None:
    """Coordinated omission: a client that was held up for a second sends late, and the queue it made is seen."""
    schedule = Schedule(begin_s=100.0, per_s=10.0, count=30)
    waited_s = [now_s - due_s for now_s in (100.0, 100.1, 101.5, 103.0) for due_s in schedule.due(now_s)]
    assert schedule.over
    assert len(waited_s) == 30
    assert waited_s[:2] == pytest.approx([0.0, 0.0])
    assert waited_s[2:16] == pytest.approx([1.3 - 0.1 * number for number in range(14)])
    assert max(waited_s) == pytest.approx(1.4)


def test_a_schedule_gives_out_each_unit_once_evenly() -> None:
    schedule = Schedule(begin_s=0.0, per_s=4.0, count=5)
    times = list(schedule.due(0.6)) + list(schedule.due(0.6)) + list(schedule.due(9.0)) + list(schedule.due(99.0))
    assert times == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert {after - before for before, after in pairwise(times)} == {0.25}


def test_the_median_of_pairs_is_not_moved_by_one_lucky_pair() -> None:
    assert median([0.2, 9.0, 0.3]) == 0.3
    assert median([0.2, 0.4]) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("value", "expected"), [(0.31, "aim met"), (0.3, "aim met"), (0.2, "must met"), (0.17, "not met")]
)
def test_a_target_that_should_be_high(value: float, expected: str) -> None:
    assert verdict(Target("a", "", 0.3, 0.18), {"a": value}) == expected


@pytest.mark.parametrize(("value", "expected"), [(3.9, "aim met"), (6.0, "must met"), (6.1, "not met")])
def test_a_target_that_should_be_low(value: float, expected: str) -> None:
    assert verdict(Target("a", "", 4, 6, "ms", lower=True), {"a": value}) == expected


def test_a_target_without_a_figure_was_not_run() -> None:
    assert verdict(TARGETS[0], {}) == "not run"


def test_what_is_stored_is_what_the_report_shows(tmp_path: Path) -> None:
    found = Figures()
    found.row("A table", durability="one server", path_per_s=1234.5, p99_ms=6.789)
    found.figure("path.one_default.ratio", 0.25)
    store(tmp_path, "path", "How fast?", Size.SHORT, found, 1.0, 7.5, None)
    stored = json.loads((tmp_path / "path.json").read_text())
    assert stored["load_average"]["begin"] == 7.5
    assert stored["commit"]
    text = report.markdown(report.read(tmp_path))
    assert "| durability | path (/s) | p99 (ms) |" in text
    assert "| one server | 1,234 | 6.79 |" in text
    assert f"| 0.3 | 0.18 | 0.25 | short | {stored['commit']} | 7.5 | must met |" in text
    assert "- `hot`" in text.partition("## Not run")[2]


def test_a_short_run_takes_the_place_of_no_full_one(tmp_path: Path) -> None:
    full, short = Figures(), Figures()
    full.figure("size.agent_1000000_mb", 63.0)
    full.figure("size.row_bytes", 390.0)
    short.figure("size.row_bytes", 500.0)
    store(tmp_path, "size", "How large?", Size.FULL, full, 1.0, 0.5, None)
    store(tmp_path, "size", "How large?", Size.SHORT, short, 2.0, 0.5, None)
    text = report.markdown(report.read(tmp_path))
    assert text.count("## size") == 1
    assert "Size short," in text
    assert "| 150 MB | 300 MB | 63 MB | full |" in text
    assert "| 400 bytes | 600 bytes | 500 bytes | short |" in text


def test_of_each_benchmark_the_newest_is_shown_in_the_order_of_the_report(tmp_path: Path) -> None:
    for begun_s, (name, size) in enumerate(
        [("hot", Size.SHORT), ("path", Size.SHORT), ("hot", Size.FULL), ("another", Size.SHORT)]
    ):
        store(tmp_path, name, "How fast?", size, Figures(), float(begun_s), 0.0, None)
    shown = [(result["name"], result["size"]) for result in report.newest(report.read(tmp_path))]
    assert shown == [("path", "short"), ("hot", "full"), ("another", "short")]


async def test_what_was_found_before_the_time_was_over_is_kept(tmp_path: Path) -> None:
    async def bench(_size: Size, found: Figures) -> None:
        found.row("A table", per_s=5.0)
        await asyncio.Event().wait()

    assert not await run("hot", "How fast?", bench, Size.FULL, tmp_path, limit_s=0.05)
    stored = json.loads((tmp_path / "hot.full.json").read_text())
    assert stored["failure"] == "it did not end within 0 s"
    assert stored["tables"] == {"A table": [{"per_s": 5.0}]}


def test_a_failure_is_shown(tmp_path: Path) -> None:
    store(tmp_path, "hot", "How fast?", Size.SHORT, Figures(), 1.0, 0.0, "StuckError: 3 units are not answered")
    assert "**It did not end well:** StuckError: 3 units" in report.markdown(report.read(tmp_path))


def test_the_costliest_functions_are_counted_by_their_own_samples() -> None:
    raw = "main (a.py:1);parse (b.py:7) 30\nmain (a.py:2);parse (b.py:9) 10\nmain (a.py:3) 60\n"
    raw += "Thread._bootstrap (t.py:1);Condition.wait (threading.py:3) 900"
    assert costs(raw) == [("main (a.py)", 0.6, 1.0), ("parse (b.py)", 0.4, 0.4)]


def test_results_md_is_made_of_the_stored_json() -> None:
    assert report.REPORT.read_text() == report.markdown(report.read(RESULTS)), "run `python -m bench.frame.report`"


def test_every_picture_of_the_report_is_there() -> None:
    pictures = re.findall(r"^!\[.*\]\((.*)\)$", report.REPORT.read_text(), re.MULTILINE)
    assert len(pictures) >= 4
    assert [picture for picture in pictures if not (report.REPORT.parent / picture).exists()] == []
