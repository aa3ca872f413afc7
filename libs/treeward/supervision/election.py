"""Who does what among equals: rendezvous hashing, and the choice of an instance for a branch."""

from collections.abc import Collection, Iterable, Mapping
from hashlib import blake2b


def rendezvous(key: str, candidates: Iterable[str]) -> str | None:
    """The candidate with the highest hash for `key`: everybody who sees the same candidates agrees, without a word.

    When one leaves, only its own keys move. None if there is no candidate.
    """
    return max(candidates, key=lambda name: blake2b(f"{key}/{name}".encode(), digest_size=8).digest(), default=None)


def choose_instance(
    branch: str, *, load: Mapping[str, int], local: Collection[str], capacity: Mapping[str, int]
) -> str | None:
    """The instance that is to own `branch`: a local one if there is room, else the one with the fewest branches.

    `load` has every live instance with the branches that it holds or was given; `local` those that are preferred by
    policy; `capacity` 0 means no bound. Ties go by rendezvous, so two supervisors that see the same choose the same.
    """
    able = [name for name, held in load.items() if capacity.get(name, 0) == 0 or held < capacity[name]]
    preferred = [name for name in able if name in local] or able
    fewest = min((load[name] for name in preferred), default=0)
    return rendezvous(branch, (name for name in preferred if load[name] == fewest))
