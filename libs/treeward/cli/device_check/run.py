"""Trying the rules one after the other, and what each came to."""

import time
from collections.abc import AsyncIterator, Collection
from enum import StrEnum
from typing import NamedTuple

from treeward.cli.device_check import lines  # isort: skip (the order of the rules)
from treeward.cli.device_check import fence, isolation, memory, ahead, progress  # isort: skip (the same)
from treeward.cli.device_check.rules import RULES, Rule
from treeward.cli.device_check.trial import NotOfferedError, Site, Trial
from treeward.cli.device_check.wire import NoDeviceError, RuleBrokenError

PARTS = (lines, fence, isolation, memory, ahead, progress)
"""Importing them has filled the list of rules, in this order."""


class Verdict(StrEnum):
    """What a trial came to."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_OFFERED = "not offered"
    """The device says that it does not do this, and need not."""
    NOT_TRIED = "not tried"
    """It needs a command that was not given."""


class Result(NamedTuple):
    """One rule after its trial."""

    rule: Rule
    verdict: Verdict
    reason: str | None
    exchanges: tuple[str, ...]
    seconds: float


async def try_rules(site: Site, only: Collection[str] = ()) -> AsyncIterator[Result]:
    """Try the rules named, or all, and tell each result as soon as it is known.

    Raises NoDeviceError if nobody listens at the address when a trial begins.
    """
    for rule in RULES.values():
        if only and rule.name not in only:
            continue
        missing = _missing(site, rule)
        if missing is not None:
            yield Result(rule, Verdict.NOT_TRIED, missing, (), 0.0)
        else:
            yield await _try(site, rule)


async def _try(site: Site, rule: Rule) -> Result:
    begun_s = time.monotonic()
    trial = Trial(site, rule.name)
    await trial.wire()
    verdict, reason = Verdict.PASSED, None
    try:
        await rule.check(trial)
    except NotOfferedError as offered:
        verdict, reason = Verdict.NOT_OFFERED, str(offered)
    except RuleBrokenError as broken:
        verdict, reason = Verdict.FAILED, str(broken)
    except NoDeviceError as gone:
        verdict, reason = Verdict.FAILED, f"in the middle of it, {gone}"
    finally:
        await trial.close()
    return Result(rule, verdict, reason, tuple(trial.exchanges), time.monotonic() - begun_s)


def _missing(site: Site, rule: Rule) -> str | None:
    """What a rule would need that is not there."""
    if rule.slow and (site.slow is None or site.quick is None):
        return "--slow and --quick say how to make calls take their time"
    if rule.restart and site.restart is None:
        return "--restart says how to restart the device side"
    if rule.host and site.host is None:
        return "--host names a host to isolate"
    return None
