"""The reference of all settings, docs/settings.md, made from the model.

python -m treeward.runtime.settings_table > docs/settings.md
"""

import sys
import typing

from pydantic.fields import FieldInfo

from treeward.runtime.settings import FILE_VARIABLE, PREFIX, Settings

SECTIONS = {
    "name": "Who this instance is",
    "nats_url": "NATS",
    "heartbeat_s": "Noticing that an owner is gone",
    "resend_s": "Dispatch",
    "restarts_max": "Recovery",
    "background_synchronization_s": "Looking for what others have changed",
    "replicas": "Retention",
    "http_host": "The program itself",
}
"""The first setting of each section."""

_INTRODUCTION = f"""\
# Settings

Every setting of the services with its default, what their HTTP port answers, and how they end.

Every service reads the same settings, from environment variables that begin with `{PREFIX}`. Names that end in `_s` are
times in seconds, those in `_per_s` numbers in a second. A variable that is set to nothing counts as not set.

`{FILE_VARIABLE}` may name a TOML or YAML file with the same settings, under their names without prefix and in lower
case (`heartbeat_s: 0.25`); a variable wins over the file. A setting that cannot be used ends the program with code 2
and one line that names the variable, or the file and line, and says what would be right.

Traces are switched on and set up by the standard variables of OpenTelemetry, see [tracing](tracing.md).
"""


_END = """
## The HTTP port

Each program logs its port when it starts (`http_port`). Liveness says nothing of NATS or devices, since a restart cures
neither; readiness does, and ends with the first SIGTERM.

| path | answers |
| --- | --- |
| `/livez` | 200 while the event loop runs, 503 if it was held up for longer than `lag_max_s` within the last 10 s |
| `/readyz` | 200 when every named check holds, else 503 with the reason of each that does not |
| `/metrics` | metrics for Prometheus; all names begin with `treeward_`, none has a label for a resource |

## How a program ends

SIGTERM or SIGINT: it finishes what is in hand, for `stop_timeout_s` at most; a second signal ends it at once.

| exit code | meaning |
| --- | --- |
| 0 | it ended as it was asked to |
| 1 | it crashed, which is logged once with the traceback, or it did not stop in time |
| 2 | a setting cannot be used; the last line on standard error says which |
"""


def render() -> str:
    """The page as Markdown."""
    lines = [_INTRODUCTION]
    for name, field in Settings.model_fields.items():
        if name in SECTIONS:
            lines += [f"\n## {SECTIONS[name]}\n", "| variable | default | value | meaning |", "| --- " * 4 + "|"]
        meaning = " ".join((field.description or "").split())
        lines.append(f"| `{PREFIX}{name.upper()}` | {_default(field)} | {_value(name, field)} | {meaning} |")
    lines.append(_END)
    return "\n".join(lines)


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is None or default == {}:
        return "none"
    if isinstance(default, tuple):
        return ", ".join(f"`{part}`" for part in default)
    return f"`{default:.7g}`" if isinstance(default, float) else f"`{default}`"


def _value(name: str, field: FieldInfo) -> str:
    """What kind of value it takes, for the table's reader."""
    if typing.get_origin(field.annotation) is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in typing.get_args(field.annotation))
    if field.annotation is int:
        low, high = _bound(field, "ge"), _bound(field, "le")
        return f"{low} or more" if high is None else f"{low} to {high}"
    if field.annotation is float:
        return "a number in a second" if name.endswith("_per_s") else "seconds"
    return "path of a file" if "Path" in repr(field.annotation) else "text"


def _bound(field: FieldInfo, kind: str) -> int | None:
    return next((getattr(part, kind) for part in field.metadata if hasattr(part, kind)), None)


if __name__ == "__main__":
    sys.stdout.write(render())
