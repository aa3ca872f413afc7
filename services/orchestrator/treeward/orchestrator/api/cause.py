"""What something waits for: the sentences that say so, and the same for programs."""

from typing import NamedTuple

from treeward.schemas.api.explain import Wait


class Cause(NamedTuple):
    """Why it does not go on; times are Unix seconds."""

    waits_for: Wait
    sentences: list[str]
    next: str | None = None
    """What has to happen before it goes on; None: nothing has to, it is done or on its way."""
    next_s: float | None = None
    """When that is; None: nobody knows."""
    since_s: float | None = None
    """Since when it waits for that; None: since it was accepted."""
