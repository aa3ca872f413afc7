"""The list of rules: each a name, a sentence, what it needs, and the check that tries it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from treeward.cli.device_check.trial import Trial

Check = Callable[[Trial], Awaitable[None]]


class Rule(NamedTuple):
    """One promise of the device protocol."""

    name: str
    sentence: str
    check: Check
    slow: bool = False
    """Needs a device that can be made slow."""
    restart: bool = False
    """Needs a device that can be restarted."""
    host: bool = False
    """Needs a host to isolate."""


RULES: dict[str, Rule] = {}
"""In the order in which they are tried."""


def rule(name: str, *, slow: bool = False, restart: bool = False, host: bool = False) -> Callable[[Check], Check]:
    """Enter a check into the list; its docstring is the rule."""

    def enter(check: Check) -> Check:
        assert name not in RULES
        RULES[name] = Rule(name, " ".join((check.__doc__ or "").split()), check, slow, restart, host)
        return check

    return enter
