"""Who does what among equals, without a word between them."""

from hypothesis import given
from hypothesis import strategies as some

from treeward.supervision.election import choose_instance, rendezvous

NAMES = some.sets(some.text("abcdef0123", min_size=1, max_size=6), min_size=1, max_size=8)
KEYS = some.lists(some.text("xyz", min_size=1, max_size=5), min_size=1, max_size=20, unique=True)


@given(NAMES, some.text(max_size=10), some.randoms(use_true_random=False))
def test_all_who_see_the_same_candidates_agree(names: set[str], key: str, chance: object) -> None:
    shuffled = sorted(names)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rendezvous(key, shuffled) == rendezvous(key, sorted(names))


@given(NAMES, KEYS)
def test_when_one_leaves_only_its_own_keys_move(names: set[str], keys: list[str]) -> None:
    leaving = min(names)
    for key in keys:
        before = rendezvous(key, names)
        after = rendezvous(key, names - {leaving})
        assert after == before or before == leaving


@given(NAMES, KEYS)
def test_when_one_comes_keys_move_only_to_it(names: set[str], keys: list[str]) -> None:
    for key in keys:
        after = rendezvous(key, names | {"newcomer"})
        assert after in (rendezvous(key, names), "newcomer")


def test_nobody_is_chosen_from_nobody() -> None:
    assert rendezvous("zone-a", []) is None
    assert choose_instance("zone-a.pod-1", load={}, local=set(), capacity={}) is None


LOADS = some.dictionaries(some.sampled_from("abcdef"), some.integers(0, 5), max_size=6)


@given(
    LOADS, some.sets(some.sampled_from("abcdef")), some.dictionaries(some.sampled_from("abcdef"), some.integers(0, 4))
)
def test_the_chosen_has_room_is_local_if_one_can_be_and_has_the_fewest_branches(
    load: dict[str, int], local: set[str], capacity: dict[str, int]
) -> None:
    chosen = choose_instance("zone-a.pod-1", load=load, local=local, capacity=capacity)
    able = {name for name in load if not capacity.get(name, 0) or load[name] < capacity[name]}
    if not able:
        assert chosen is None
        return
    assert chosen in able
    pool = able & local or able
    assert chosen in pool
    assert load[chosen] == min(load[name] for name in pool)
