"""A reason to wait: how it comes about, and the sentence that tells it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from tests.support.world import ZONE, World

from treeward.schemas.api.explain import ExplainAnswer, Wait


@dataclass(frozen=True, slots=True)
class Told:
    """What was answered: of the unit by its ticket, and of its resource by the address."""

    by_ticket: ExplainAnswer
    by_address: ExplainAnswer


@dataclass(frozen=True, slots=True)
class Reason:
    """One row of the page."""

    title: str
    waits_for: Wait
    words: str
    """Part of the sentence that tells it."""
    bring_about: Callable[[], Told]
    when: bool
    """Whether it is known when what comes next will happen."""

    @property
    def name(self) -> str:
        """Of its test."""
        return self.bring_about.__name__

    def sentence(self, answer: ExplainAnswer) -> str:
        """The one that tells it; fails the test if none does."""
        found = [sentence for sentence in answer.sentences if self.words in sentence]
        assert len(found) == 1, f"{self.words!r} is not told once: {answer.sentences}"
        return found[0]


REASONS: list[Reason] = []


def reason(
    title: str, waits_for: Wait, words: str, *, when: bool = False
) -> Callable[[Callable[[], Told]], Callable[[], Told]]:
    """Make a function that brings a reason about one of the rows, in the order of the file."""

    def note(bring_about: Callable[[], Told]) -> Callable[[], Told]:
        once = cache(bring_about)  # the page and the test tell of the same run
        REASONS.append(Reason(title, waits_for, words, once, when))
        return once

    return note


def told(centre: World, key: str, ticket: int, zone: str = ZONE) -> Told:
    """Ask both ways, at the same moment as far as that can be."""
    return Told(centre.explain(zone=zone, ticket=ticket), centre.explain(zone=zone, key=key))
