"""What happened in a run, line by line: two runs of one seed have the same lines."""

from collections.abc import Callable
from hashlib import sha256
from typing import NamedTuple


class Line(NamedTuple):
    """One thing that happened; `what` is a word, `words` say to whom."""

    at_s: float
    what: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.at_s:9.4f}  {self.what:<10} {' '.join(self.words)}"


class Trace:
    """The lines of one run. With `loud` also what is only of interest when reading one: logs and mailbox messages."""

    def __init__(self, *, loud: bool = False) -> None:
        self.loud = loud
        self.lines: list[Line] = []
        self.details: list[Line] = []
        self.at_s: Callable[[], float] = lambda: 0.0
        """The clock of the run."""

    def add(self, what: str, *words: str) -> None:
        """Note a thing that counts: it is part of the hash."""
        line = Line(self.at_s(), what, words)
        self.lines.append(line)
        if self.loud:
            self.details.append(line)

    def detail(self, what: str, *words: str) -> None:
        """Note a thing for those who read."""
        if self.loud:
            self.details.append(Line(self.at_s(), what, words))

    def digest(self) -> str:
        """The same for the same run."""
        return sha256("\n".join(map(str, self.lines)).encode()).hexdigest()

    def __str__(self) -> str:
        return "\n".join(map(str, self.details if self.loud else self.lines))
