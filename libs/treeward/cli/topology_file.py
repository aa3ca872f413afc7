"""Reads a topology file; every problem is named with its file, line and field."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from treeward.cli.output import CommandError
from treeward.schemas.sentences import explain_problem
from treeward.schemas.topology import Topology, TopologyHost, TopologyPod, TopologyZone

PROBLEMS_SHOWN_MAX = 10
NODES_MAX = 2_000_000
"""Values that a file may unfold to: an alias of an alias can double itself without end."""

_FIELDS: dict[int, type[BaseModel]] = {1: Topology, 3: TopologyZone, 5: TopologyPod, 7: TopologyHost}
"""The model that a field belongs to, by how deep it stands: zones.<zone>.pods.<pod>.hosts.<host>.<field>."""


class _YamlError(Exception):
    """Something about the YAML itself, at a line; named in the error that the reader raises."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


class _Reader:
    """YAML nodes as plain values, with the line of each."""

    def __init__(self, text: str) -> None:
        self.lines: dict[tuple[Hashable, ...], int] = {}
        self._loader = yaml.SafeLoader(text)
        self._nodes = 0

    def read(self) -> Any:
        try:
            node = self._loader.get_single_node()
            return None if node is None else self._value(node, ())
        finally:
            self._loader.dispose()

    def _value(self, node: yaml.Node, path: tuple[Hashable, ...]) -> Any:
        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._nodes += 1
        if self._nodes > NODES_MAX or len(path) > 20:
            raise _YamlError(line, "unfolds to more than a topology can be")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(member, (*path, index)) for index, member in enumerate(node.value)]
        return self._loader.construct_object(node)

    def _mapping(self, node: yaml.MappingNode, path: tuple[Hashable, ...]) -> dict[str, Any]:
        names: set[object] = set()
        for name_node, _ in node.value:
            name = self._name(name_node)
            if name in names:
                raise _YamlError(name_node.start_mark.line + 1, f"{name!r} is there twice")
            names.add(name)
        self._loader.flatten_mapping(node)
        values = {}
        for name_node, value_node in node.value:
            name = self._name(name_node)
            self.lines[*path, name] = name_node.start_mark.line + 1
            values[name] = self._value(value_node, (*path, name))
        return values

    def _name(self, node: yaml.Node) -> str:
        """A name as it is written: `1:` and `on:` name things too."""
        if not isinstance(node, yaml.ScalarNode):
            raise _YamlError(node.start_mark.line + 1, "a name must be a text")
        return str(node.value)

    def line_of(self, path: tuple[Hashable, ...]) -> int:
        """The line of a value, or of the nearest that holds it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read_topology(path: Path) -> Topology:
    """The topology in a file; raises CommandError with `file:line: field: sentence` for each problem."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: cannot be read ({error})") from None
    return parse_topology(text, str(path))


def parse_topology(text: str, name: str) -> Topology:
    """The topology in a text; `name` stands for its file in errors."""
    reader = None
    try:
        reader = _Reader(text)
        value = reader.read()
    except _YamlError as problem:
        raise CommandError(f"{name}:{problem.line}: {problem}") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark is not None else 1
        raise CommandError(f"{name}:{line}: is no YAML ({error.problem})") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise CommandError(f"{name}: is no YAML ({str(error).splitlines()[0]})") from None
    if not isinstance(value, dict):
        raise CommandError(f"{name}:1: must hold `zones:` with zones, their pods and hosts")
    try:
        return Topology.model_validate(value)
    except ValidationError as error:
        raise CommandError(_explain(error, reader, name)) from None


def _explain(error: ValidationError, reader: _Reader, name: str) -> str:
    sentences = []
    for item in error.errors(include_url=False)[:PROBLEMS_SHOWN_MAX]:
        path = tuple(part for part in item["loc"] if part != "[key]")
        model = _FIELDS.get(len(path))
        fields = None if model is None else tuple(model.model_fields)
        sentences.append(f"{name}:{reader.line_of(path)}: {explain_problem(dict(item), fields=fields)}")
    more = error.error_count() - PROBLEMS_SHOWN_MAX
    return "\n".join(sentences) + (f"\nand {more} more" if more > 0 else "")
