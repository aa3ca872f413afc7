"""Every reason, in the order of a unit's path."""

from tests.explain import at_devices, at_owners, in_work
from tests.explain.told import REASONS, Reason

ORDER = (in_work, at_owners, at_devices)
"""Each module has noted its own when it was imported, in the order of the file."""


def reasons() -> list[Reason]:
    """In the order of a unit's path."""
    places = [module.__name__ for module in ORDER]
    return sorted(REASONS, key=lambda each: places.index(each.bring_about.__module__))
