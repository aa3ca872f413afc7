"""Every command line in the pages is one that the program has, and docs/cli.md has every command."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
from tests.unit.test_repository import ROOT, tracked

from treeward.cli.main import COMMANDS, build

PAGE = ROOT / "docs" / "cli.md"
PROMPT = re.compile(r"^(?:\$ |    (?:\$ )?)?(?:\.venv/bin/)?treeward (?=[a-z-])(.*)$", re.MULTILINE)


def lines_of(page: Path) -> list[str]:
    """What a page lets its reader type after `treeward`, up to a pipe or comment."""
    return [re.split(r" [|#>] ?", line)[0].strip() for line in PROMPT.findall(page.read_text())]


LINES = lines_of(PAGE)
EVERYWHERE = {line: page for page in tracked("*.md") for line in lines_of(page)}


@pytest.mark.parametrize("line", EVERYWHERE)
def test_a_command_line_of_a_page_is_understood(line: str) -> None:
    """It is parsed with all its options and arguments, and not carried out."""
    names = shlex.split(line)
    command: Any = typer.main.get_command(build(names))
    context = None
    while hasattr(command, "commands") and names[0] != "--help":
        context = command.context_class(command, parent=context)
        assert names[0] in command.commands, f"{EVERYWHERE[line].name}: {line}"
        command = command.commands[names.pop(0)]
    if "--help" not in names:
        command.make_context(command.name, names, parent=context)


def test_the_page_shows_every_command_but_those_with_pages_of_their_own() -> None:
    shown = {line.split()[0] for line in LINES}
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
