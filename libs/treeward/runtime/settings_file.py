"""Settings from a TOML or YAML file, and error messages that name the variable or the file's line."""

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


class BadSettingsError(Exception):
    """The settings cannot be used: one line that names the variable and what would be right. Exit code 2."""


def read_file(path: Path) -> dict[str, Any]:
    """The names and values in a settings file; raises BadSettingsError naming the file and, if known, the line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise BadSettingsError(f"{path}: cannot be read: {reason}") from None
    try:
        values = tomllib.loads(text) if path.suffix == ".toml" else yaml.safe_load(text)
    except tomllib.TOMLDecodeError as error:
        raise BadSettingsError(f"{path}: is no TOML: {error}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "cannot be parsed"
        raise BadSettingsError(f"{path}{where}: is no YAML: {problem}") from None
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise BadSettingsError(f"{path}: must hold settings as name and value, such as heartbeat_s: 0.25")
    return {str(key): value for key, value in values.items()}


class FileSource(PydanticBaseSettingsSource):
    """The settings file that an environment variable names; unknown names in it are refused, they are typos."""

    def __init__(self, settings: type[BaseSettings], variable: str) -> None:
        super().__init__(settings)
        self._variable = variable

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Nothing, field by field: `__call__` reads the file as a whole."""
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """What the file says; nothing if no file is named."""
        name = os.environ.get(self._variable, "")
        if not name:
            return {}
        path = Path(name)
        values = read_file(path)
        for key in values:
            if key not in self.settings_cls.model_fields:
                meant = suggestion(key, self.settings_cls.model_fields)
                hint = f"; did you mean {meant}?" if meant else ""
                raise BadSettingsError(f"{_place(path, key)}: no such setting{hint}")
        return values


def suggestion(name: str, known: Iterable[str]) -> str | None:
    """The known name that was probably meant."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.8)
    return close[0] if close else None


def misspelt(prefix: str, known: Iterable[str], environment: Mapping[str, str]) -> list[str]:
    """Variables with the prefix that are nearly a setting but none: worth a warning, since they change nothing.

    Others with the prefix are left alone: programs that share the environment have their own, and Kubernetes adds some.
    """
    names = set(known)
    found = []
    for variable in sorted(environment):
        name = variable.removeprefix(prefix).lower()
        if variable.startswith(prefix) and name not in names and (meant := suggestion(name, names)) is not None:
            found.append(f"{variable}: no such setting; did you mean {prefix}{meant.upper()}?")
    return found


def explain(error: ValidationError, *, prefix: str, file_variable: str, environment: Mapping[str, str]) -> str:
    """One line for the first thing that is wrong: the variable (or file and line), what would be right, the value."""
    item = error.errors(include_url=False)[0]
    message = str(item["msg"]).removeprefix("Value error, ")
    if item["loc"]:
        field, *inner = (str(part) for part in item["loc"])
        message = f"{message[:1].lower()}{message[1:]}, not {_short(item['input'])}"
    else:  # a relation: its message begins with the field
        field, _, message = message.partition(": ")
        inner = []
    variable = prefix + field.upper()
    path = environment.get(file_variable, "")
    where = _place(Path(path), field) if path and not environment.get(variable) else variable
    return f"{'.'.join((where, *inner))}: {message}"


def _short(value: object) -> str:
    text = re.sub(r"//[^/@\s]*@", "//***@", repr(value))  # a server's URL may hold a password
    return text if len(text) <= 80 else text[:77] + "..."


def _place(path: Path, key: str) -> str:
    pattern = re.compile(rf"""^\s*["']?{re.escape(key)}["']?\s*[:=]""")
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if pattern.match(line):
            return f"{path}:{number}: {key}"
    return f"{path}: {key}"
