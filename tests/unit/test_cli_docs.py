"""Every command line in docs/cli.md is one that the program has."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from treeward.cli.main import COMMANDS, build

PAGE = Path(__file__).parents[2] / "docs" / "cli.md"
BLOCKS = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), re.DOTALL)
LINES = [line for block in BLOCKS for line in block.splitlines() if line.startswith("treeward ")]


def help_of(*names: str) -> str:
    result = CliRunner().invoke(build(names), [*names, "--help"], env={"COLUMNS": "300"}, terminal_width=300)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("line", LINES)
def test_a_command_line_of_the_page_is_understood(line: str) -> None:
    words = shlex.split(line)[1:]
    names = words[:2] if words[0] in ("replay", "work", "what-if") else words[:1]
    text = help_of(*names)
    for option in (word for word in words if word.startswith("--")):
        assert re.search(rf"{option}\b", text), f"{names} has no {option}"


def test_the_page_shows_every_command_but_those_with_pages_of_their_own() -> None:
    shown = {line.split()[1] for line in LINES}
    assert shown == COMMANDS.keys() - {"up", "demo", "device", "credentials"}


def test_the_topology_of_the_page_can_be_applied() -> None:
    from treeward.cli.topology_file import parse_topology

    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    topology = parse_topology(block, "docs/cli.md")
    assert topology.zones["zone-a"].pods["pod-1"].hosts["host-2"].gpus == 2


def test_the_line_of_a_file_of_the_page_can_be_submitted() -> None:
    from treeward.cli.prepare import read_lines

    (block,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert read_lines("docs/cli.md", block.encode().splitlines())[0].unit.operation == "create"
