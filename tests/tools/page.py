"""A page whose console blocks are run: what a command prints is compared with what the page shows.

In a block marked `console`, a line with `$ ` in front is a command (`> ` continues it) and the lines below are what it
prints. `…` stands for anything within a line, and alone on a line for any number of lines. No time of day is compared.
`^C` on the last line: the command goes on until the lines above have been seen, and is ended then. A comment
`<!-- meanwhile: COMMAND -->` above a block says what somebody else does while such a command runs; it is done again if
nothing came of it, since a subscriber that has only just come may have missed it. `<!-- shell: NAME -->` says where the
blocks below it are run. All commands of one shell are run by one bash, so variables stay.
"""

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

PATIENCE_S = 60.0
MEANWHILE_AGAIN_S = 10.0
_TIME = re.compile(r"\b\d\d:\d\d:\d\d\b")
_END = "end-of-command"


@dataclass
class Step:
    """One command of the page."""

    line: int
    shell: str
    command: str
    expected: list[str] = field(default_factory=list)
    interrupted: bool = False
    meanwhile: str | None = None

    @property
    def pattern(self) -> re.Pattern[str]:
        """What its output must match as a whole."""
        parts = []
        for line in self.expected:
            text = r"\d\d:\d\d:\d\d".join(re.escape(part) for part in _TIME.split(line.strip()))
            parts.append(r"(?:[^\n]*\n)*?" if line.strip() == "…" else text.replace("…", r"[^\n]*") + r"\n")
        return re.compile("".join(parts))

    def matches(self, output: str) -> bool:
        """Whether this is what the page shows."""
        return self.pattern.fullmatch(tidied(output)) is not None


def steps_of(text: str) -> list[Step]:
    """The commands of a page, in order."""
    steps: list[Step] = []
    shell, meanwhile, inside = "", None, False
    for number, line in enumerate(text.splitlines(), start=1):
        if (found := re.fullmatch(r"<!-- (shell|meanwhile): (.*) -->", line)) is not None:
            shell, meanwhile = (found[2], None) if found[1] == "shell" else (shell, found[2])
        elif line.startswith("```"):
            inside = line == "```console"
            meanwhile = meanwhile if inside else None
        elif not inside:
            continue
        elif line.startswith("$ "):
            steps.append(Step(number, shell, line[2:], meanwhile=meanwhile))
        elif line.startswith("> "):
            steps[-1].command += "\n" + line[2:]
        elif line == "^C":
            steps[-1].interrupted = True
        else:
            steps[-1].expected.append(line)
    return steps


def tidied(output: str) -> str:
    """Output without empty lines and without space around lines, each line ended."""
    return "".join(f"{line.strip()}\n" for line in output.splitlines() if line.strip())


class Shell:
    """One bash, ended with everything that it has started."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = dict(environment)
        self._bash = self._start(["bash", "--norc", "--noprofile"])

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, cwd=self._folder, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def run(self, step: Step) -> str | None:
        """Run one command; returns what is wrong with what it printed, None: nothing."""
        output = self._follow(step) if step.interrupted else self._run(step.command)
        if step.matches(output):
            return None
        shown = "\n".join(step.expected)
        return f"line {step.line}: $ {step.command}\n--- the page shows\n{shown}\n--- it printed\n{output}"

    def _run(self, command: str) -> str:
        assert self._bash.stdin is not None
        # The exit code of the command is still there for the next one, which may be `echo $?`.
        text = f"{{ {command}\n}} < /dev/null 2>&1; {{ __code=$?; echo; echo {_END}; (exit $__code); }} 2>&1\n"
        self._bash.stdin.write(text.encode())
        self._bash.stdin.flush()
        output = _read(self._bash, lambda seen: seen.endswith(f"\n{_END}\n"), PATIENCE_S)
        return output.removesuffix(f"\n{_END}\n")

    def _follow(self, step: Step) -> str:
        """A command that goes on: interrupted when it has printed what is expected, or when patience is over."""
        process = self._start(["bash", "--norc", "--noprofile", "-c", f"exec {step.command}"])
        give_up_s = time.monotonic() + PATIENCE_S
        output = _read(process, lambda seen: "\n" in seen, MEANWHILE_AGAIN_S)  # it has begun
        try:
            while not step.matches(output) and time.monotonic() < give_up_s:
                if step.meanwhile is not None:
                    self._run(step.meanwhile)
                output = _read(process, step.matches, MEANWHILE_AGAIN_S, output)
        finally:
            os.killpg(process.pid, signal.SIGTERM)  # SIGINT is ignored by whatever runs in the background
            try:
                process.wait(PATIENCE_S)
            finally:
                process.kill()
        return output

    def end(self) -> None:
        """Kill it and all that it has started."""
        os.killpg(self._bash.pid, signal.SIGKILL)
        self._bash.wait()


def _read(process: subprocess.Popen[bytes], enough: Callable[[str], bool], timeout_s: float, before: str = "") -> str:
    """What a process prints, `before` included, until that is enough, it ends, or the time is over."""
    assert process.stdout is not None
    give_up_s = time.monotonic() + timeout_s
    seen = before.encode()
    while not enough(seen.decode(errors="replace")):
        left_s = give_up_s - time.monotonic()
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, left_s))
        chunk = os.read(process.stdout.fileno(), 65_536) if ready else b""
        if not chunk:
            break
        seen += chunk
    return seen.decode(errors="replace")
