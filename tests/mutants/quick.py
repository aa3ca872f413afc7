"""How property tests run on a mutant: the same examples each time, and a failing one is not made smaller.

A pytest plugin. What a test says of itself (how many examples) stays; only that it failed is asked.
"""

from hypothesis import Phase, settings

settings.register_profile("mutants", phases=(Phase.explicit, Phase.generate), derandomize=True, database=None)
settings.load_profile("mutants")
