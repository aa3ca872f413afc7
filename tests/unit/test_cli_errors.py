"""What cannot be done is said in one sentence on standard error, with the exit code that says who can help."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from treeward.cli.main import COMMANDS, build
from treeward.cli.output import BAD_INPUT, FINE


def call(*arguments: str, text: str | None = None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `treeward ARGUMENTS`."""
    result = CliRunner().invoke(build(arguments), list(arguments), input=text)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_help_names_every_command_and_the_exit_codes() -> None:
    code, out, _ = call("--help")
    assert code == FINE
    for name in COMMANDS:
        assert name in out
    assert "Exit codes" in out


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_tells_what_it_does(name: str) -> None:
    code, out, _ = call(name, "--help")
    assert code == FINE
    assert "--help" in out and len(out) > 300


def test_help_imports_no_command_and_no_nats() -> None:
    program = (
        "import sys\nfrom treeward.cli.main import build\n"
        "try:\n    build(['--help'])(['--help'])\nexcept SystemExit:\n    pass\n"
        "print([n for n in sys.modules if n.startswith(('nats', 'treeward.bus', 'pydantic_settings', 'matplotlib'))])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == "[]"


BAD = [
    (("submit",), "say what to do"),
    (("submit", "web-1", "create"), "must be <zone>.<kind>.<id>"),
    (("submit", "zone-a.vm.web-1"), "say what to do"),
    (("submit", "zone-a.vm.web-1", "explode"), "a vm has no 'explode'"),
    (("submit", "zone-a.vm.web-1", "create", "--spec", "{"), "--spec: is no JSON"),
    (("submit", "zone-a.vm.web-1", "create", "--spec", "[1]"), "spec: must be an object"),
    (("submit", "zone-a.vm.web-1", "create", "--spec", '{"cpu":1}'), "did you mean 'cpus'"),
    (("submit", "zone-a.vm.web-1", "create", "--spec", "@/does/not/exist"), "cannot be read"),
    (("submit", "zone-a.vm.web-1", "create", "--deadline", "soon"), "RFC 3339"),
    (("submit", "zone-a.vm.web-1", "create", "--deadline", "+3 days"), "+30s"),
    (("submit", "zone-a.vm.web-1", "create", "--deadline", "2020-01-01T00:00:00Z"), "already past"),
    (("submit", "zone-a.vm.web-1", "create", "--label", "a"), "must be NAME=VALUE"),
    (("submit", "zone-a.vm.web-1", "create", "--after", "0"), "after.0: must be at least 1"),
    (("submit", "zone-a.vm.web-1", "cancel"), "must name the ticket"),
    (("submit", "zone-a.vm.web-1", "create", "--order", "lifo"), "'fifo', 'supersede'"),
    (("submit", "zone-a.vm.web-1", "create", "--file", "x"), "--file has everything in its lines"),
    (("submit", "--file", "/does/not/exist"), "/does/not/exist: cannot be read"),
    (("events", "a.b.c.d.e"), "must be ZONE[.KIND[.ID[.TYPE]]]"),
    (("events", "a.vm.x.exploded"), "the type must be one of"),
    (("events", "--since", "all"), "name it"),
    (("events", "zone-a", "--since", "0"), "must be a position"),
    (("events", "zone-a", "--no-follow"), "--no-follow needs --since"),
    (("state", "a.b"), "must be a zone, or an address"),
    (("tree", "a.b"), "must be the name of a zone"),
    (("explain", "17"), "ZONE:17"),
    (("explain", "zone-a"), "must be an address <zone>.<kind>.<id>, or a ticket"),
    (("explain", "zone-a:0"), "must be a zone, or an address"),
    (("queued", "a b"), "must be a zone, or an address"),
    (("apply", "/does/not/exist.yaml"), "cannot be read"),
    (("provision", "--replicas", "9"), "less than or equal to 5"),
    (("replay", "openb", "--nodes", "/does/not/exist", "--workloads", "x"), "cannot be read"),
    (("submit", "zone-a.vm.web-1", "create", "--no-such-option"), "No such option"),
    (("no-such-command",), "No such command"),
]


@pytest.mark.parametrize(("arguments", "holds"), BAD, ids=[" ".join(case[0])[:60] for case in BAD])
def test_bad_input_is_said_before_anything_is_sent(arguments: tuple[str, ...], holds: str) -> None:
    code, out, error = call(*arguments)
    assert code == BAD_INPUT
    assert holds in " ".join(error.replace("│", " ").split()) and "Traceback" not in error
    assert out == ""


def test_every_bad_line_of_a_file_is_named_and_nothing_is_sent(tmp_path: Path) -> None:
    lines = [
        {"address": "zone-a.vm.a", "operation": "create"}, {"operation": "create"},
        {"address": "zone-a.vm.a", "operation": "creat"}, {"address": "zone-a.vm", "operation": "create"},
        {"address": "zone-a.vm.a", "operation": "create", "message_id": 7}, [],
    ]  # fmt: skip
    text = "\n".join([*(json.dumps(line) for line in lines[:3]), "", "{", *(json.dumps(line) for line in lines[3:])])
    (tmp_path / "units").write_text(text)
    code, _, error = call("submit", "--file", str(tmp_path / "units"))
    assert code == BAD_INPUT
    assert "nothing was sent" in error
    named = [line.split(": ")[0].rpartition(":")[2] for line in error.splitlines()[1:]]
    assert named == ["2", "3", "5", "6", "7", "8"]
    code, _, error = call("submit", "--file", "-", text="{}\n" * 30)
    assert code == BAD_INPUT
    assert "standard input:10:" in error and "and 20 more" in error
    code, _, error = call("submit", "--file", "-", text="\n\n")
    assert code == BAD_INPUT and "has no unit" in error


def test_settings_that_cannot_be_used_are_named() -> None:
    environment = {"TREEWARD_HEARTBEAT_S": "soon"}
    result = CliRunner().invoke(build(["provision"]), ["provision"], env=environment)
    assert result.exit_code == BAD_INPUT
    assert "heartbeat_s" in result.stderr.lower()
