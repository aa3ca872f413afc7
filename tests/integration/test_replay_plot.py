"""The plot of a replay is written in the format of its name, and the same books draw the same file."""

from pathlib import Path

import pytest

from treeward.cli.output import CommandError
from treeward.cli.replay.books import Call, Change, DeviceBooks
from treeward.cli.replay.plot import Timeline, draw
from treeward.cli.replay.records import Records, Submitted

TIMELINE = Timeline(100.0, 5_000.0, None)


def test_the_same_books_draw_the_same_file_in_each_format(tmp_path: Path) -> None:
    records = Records()
    unit = Submitted("z", "vm.a", "create", b"{}", 100.5)
    records.units.append(unit)
    records.accept(unit, 1)
    change = Change(99.0, "z", "h", True, (1000, 1, 0, 0))
    books = DeviceBooks([Call("z", "vm.a", "create", 1, 101.0, 102.0, True)], [change])
    drawn = []
    for _ in range(2):
        draw(tmp_path / "plot.svg", records, books, TIMELINE)
        drawn.append((tmp_path / "plot.svg").read_text())
    assert drawn[0] == drawn[1]
    assert "<svg" in drawn[0]
    draw(tmp_path / "plot.png", records, books, TIMELINE)
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_a_replay_without_units_and_books_draws_empty_axes(tmp_path: Path) -> None:
    draw(tmp_path / "plot.svg", Records(), None, TIMELINE)
    assert (tmp_path / "plot.svg").stat().st_size > 1_000


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        draw(tmp_path / "missing" / "plot.svg", Records(), None, TIMELINE)
