"""A topology file is read whole, and each of its mistakes is named with line, field and what would be right."""

from pathlib import Path

import pytest

from treeward.cli.output import BAD_INPUT, CommandError
from treeward.cli.topology_file import parse_topology, read_topology

GOOD = """\
zones:
  zone-a:
    labels: {region: eu}
    pods:
      pod-1:
        device: tcp://127.0.0.1:7001
        hosts:
          host-1: &small {cpus: 32, memory_mib: 1024}
          host-2: {<<: *small, gpus: 0.5}
      pod-2: {}
  "1":
    pods: {}
"""


def refusal(text: str) -> list[str]:
    with pytest.raises(CommandError) as caught:
        parse_topology(text, "t.yaml")
    assert caught.value.code == BAD_INPUT
    return str(caught.value).splitlines()


def test_a_topology_is_read_with_anchors_and_merged_names() -> None:
    topology = parse_topology(GOOD, "t.yaml")
    assert list(topology.zones) == ["zone-a", "1"]
    hosts = topology.zones["zone-a"].pods["pod-1"].hosts
    assert hosts["host-2"].gpus == 0.5 and hosts["host-2"].cpus == 32
    assert hosts["host-1"].spec("pod-1").pod == "pod-1"


@pytest.mark.parametrize(
    ("text", "begins", "holds"),
    [
        ("", "t.yaml:1: must hold `zones:`", "hosts"),
        ("- a", "t.yaml:1: must hold `zones:`", "hosts"),
        ("zones: {}", "t.yaml:1: zones: must have at least 1 entries", "not {}"),
        ("zone:\n  a: {}", "t.yaml:1: zones: is missing", ""),
        ("zones:\n  a b: {}", "t.yaml:2: ", "must be 1 to 64 of the characters"),
        ("zones:\n  root: {}", "t.yaml:2: zones.root: must not be 'root'", "reserved"),
        ("zones:\n  a:\n    pod: {}", "t.yaml:3: zones.a.pod: there is no such field", "did you mean 'pods'"),
        ("zones:\n  a: {pods: {p: {hosts: {\n          h: {cpus: 1}}}}}", "t.yaml:3: ", "memory_mib: is missing"),
        ("zones:\n  a:\n    labels: {x: 1}", "t.yaml:3: zones.a.labels.x: must be a text", "not 1"),
        ("zones:\n  a: {}\n  a: {}", "t.yaml:3: 'a' is there twice", ""),
        ("zones:\n  a: {pods: {p: {hosts: {h: &h {cpus: 1, memory_mib: 1}}},\n    q: {hosts: {h: *h}}}}",
         "t.yaml:2: zones.a: host 'h' is in pods p and q", ""),
        ("zones: [", "t.yaml:1: is no YAML", ""),
        ("zones: {a: *b}", "t.yaml:1: is no YAML", "undefined alias"),
        ("zones:\n  ? [1, 2]\n  : {}", "t.yaml:2: a name must be a text", ""),
        ("zones: {a: !!python/object/apply:os.getcwd []}", "t.yaml:1: zones.a: must be an object", ""),
        ("zones: \x00", "t.yaml: is no YAML", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(text: str, begins: str, holds: str) -> None:
    (line, *_) = refusal(text)
    assert line.startswith(begins) and holds in line


def test_every_mistake_is_named_up_to_ten() -> None:
    hosts = "".join(f"          h{number}: {{cpus: no}}\n" for number in range(8))
    lines = refusal("zones:\n  a:\n    pods:\n      p:\n        hosts:\n" + hosts)
    assert len(lines) == 11
    assert lines[0].startswith("t.yaml:6: ") and lines[2].startswith("t.yaml:7: ")
    assert lines[-1] == "and 6 more"


def test_aliases_that_double_without_end_are_refused() -> None:
    doubled = "".join(f"x{level}: &x{level} [{', '.join([f'*x{level - 1}'] * 9)}]\n" for level in range(1, 9))
    assert "unfolds to more" in refusal("x0: &x0 [1]\n" + doubled + "zones: {}")[0]


def test_an_alias_of_itself_is_refused() -> None:
    assert refusal("zones: &z {a: *z}")[0].startswith("t.yaml:1: ")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.yaml", tmp_path):
        with pytest.raises(CommandError, match="cannot be read"):
            read_topology(path)
