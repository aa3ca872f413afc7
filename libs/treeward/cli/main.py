"""`treeward`: the table of sub-commands.

Only the module of the command that is called is imported, so that `treeward --help` answers at once and a command
that is not installed breaks no other.
"""

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import typer

from treeward.cli.output import BAD_INPUT

ABOUT = """A control plane in which nothing happens twice, out of order, or at the same time to one resource.

Exit codes: 0 fine; 1 the answer is no (a unit failed or was rejected, something differs); 2 usage or bad input;
3 the bus, or whoever should answer on it, cannot be reached."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Where a sub-command lives: a function, or a typer app with commands of its own."""

    module: str
    attribute: str
    about: str


COMMANDS = {
    "up": Entry("up", "command", "Run NATS and every service on this machine."),
    "demo": Entry("demo", "command", "A data centre on this machine, killed and judged."),
    "provision": Entry("provision", "command", "Make root's streams, once for each NATS."),
    "apply": Entry("apply", "command", "Create the zones, pods and hosts of a topology file."),
    "submit": Entry("submit", "command", "Submit units of work."),
    "events": Entry("events", "command", "Follow what happens."),
    "state": Entry("state", "command", "What is known of a resource or a zone, since when and from where."),
    "tree": Entry("tree", "command", "The supervision tree: zones, pods, hosts, owners and counts."),
    "explain": Entry("explain", "command", "Why a unit or a resource waits."),
    "queued": Entry("queued", "command", "What has no outcome yet."),
    "work": Entry("work", "app", "Units without an outcome: list, cancel, supersede, policy, retry."),
    "what-if": Entry("treeward.simulation.what_if.command", "app", "What would come of a loss; changes nothing."),
    "pause": Entry("steer", "pause", "Hold what comes for a resource, pod or zone until `resume`."),
    "resume": Entry("steer", "resume", "Let a paused or drained branch go on."),
    "release": Entry("steer", "release", "Let a quarantined resource or pod out."),
    "drain": Entry("steer", "drain", "Empty a host or pod, close a zone, or let an instance hand over and end."),
    "isolate": Entry("steer", "isolate", "Give up a host or pod that cannot be reached."),
    "configure": Entry("configure", "command", "Set restarts, order and what is done about drift."),
    "hand-off": Entry("steer", "hand_off", "Let another orchestrator own root."),
    "credentials": Entry("credentials", "app", "Make keys for services and people, and the server's accounts."),
    "backup": Entry("backup", "backup", "Copy all streams into files."),
    "restore": Entry("backup", "restore", "Make the streams of a copy anew, on an empty NATS."),
    "replay": Entry("replay.command", "app", "Replay a recorded workload and judge the result."),
    "device": Entry("device", "app", "Try a device by its protocol's rules; faults and books of a simulator."),
}


def build(arguments: Sequence[str]) -> typer.Typer:
    """The program, with the command that `arguments` name imported and the others by name only."""
    called = next((word for word in arguments if not word.startswith("-")), None)
    everything = any(name.endswith("_TREEWARD_COMPLETE") for name in os.environ)
    app = typer.Typer(name="treeward", help=ABOUT, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_program)
    for name, entry in COMMANDS.items():
        if name == called or everything:
            _add(app, name, entry)
        else:
            app.command(name, help=entry.about)(_not_called)
    return app


def _program() -> None:
    pass


_program.__doc__ = ABOUT


def _not_called() -> None:
    raise AssertionError("a command that was not called is not run")


def _add(app: typer.Typer, name: str, entry: Entry) -> None:
    module_name = entry.module if entry.module.startswith("treeward.") else f"treeward.cli.{entry.module}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        app.command(name, help=entry.about, context_settings=_ANY)(_missing(name))
        return
    attribute = getattr(module, entry.attribute)
    if isinstance(attribute, typer.Typer):
        app.add_typer(attribute, name=name, help=entry.about)
    else:
        app.command(name)(attribute)


_ANY = {"ignore_unknown_options": True, "allow_extra_args": True}


def _missing(name: str) -> Callable[[], None]:
    def command() -> None:
        typer.echo(f"error: `treeward {name}` is not part of this installation", err=True)
        raise typer.Exit(BAD_INPUT)

    return command


def main() -> None:
    """The program `treeward`."""
    build(sys.argv[1:])()
