"""What a command says, where, and with which exit code.

Answers go to standard output, everything else to standard error. Texts that come from the bus were written by others:
control characters in them, which could steer a terminal, are shown and not sent.
"""

import json
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

FINE, NO, BAD_INPUT, UNAVAILABLE, INTERRUPTED = 0, 1, 2, 3, 130
"""Exit codes: done; the answer is no; usage or input; nobody can be reached on the bus; Ctrl-C."""


class CommandError(Exception):
    """A command cannot go on; its sentence says what to do, `code` is what the program exits with."""

    def __init__(self, sentence: str, code: int = BAD_INPUT) -> None:
        super().__init__(sentence)
        self.code = code


@lru_cache(maxsize=1)
def _error_console() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def console() -> "Console":
    """Standard output, without wrapping where it is no terminal."""
    from rich.console import Console

    out = Console(highlight=False, markup=False)
    if not out.is_terminal:
        out.width = 400
    return out


def error_console() -> "Console":
    """Standard error: progress, notices, errors."""
    return _error_console()


def clean(text: object) -> str:
    """A text from others with its control characters made visible: they would steer the terminal."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in str(text))


def say(sentence: str) -> None:
    """A notice for people, on standard error."""
    typer.echo(sentence, err=True)


def say_json(value: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(value, default=str) + "\n")


def fail(error: CommandError) -> NoReturn:
    """End the command with one sentence and its exit code."""
    typer.echo(f"error: {error}", err=True)
    raise typer.Exit(error.code)


def table(*columns: str, title: str | None = None) -> "Table":
    """An empty table in the house's look."""
    from rich import box
    from rich.table import Table

    empty = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        right = column.endswith(">")
        empty.add_column(column.rstrip(">"), justify="right" if right else "left", overflow="fold")
    return empty
