import numpy as np
import pytest

from evergrow.images.near import NEAR_BITS, near_pairs


def drawn(seed: int) -> tuple[list[int], list[str], list[bool]]:
    """Hashes in three clouds, some of them equal, some with the same content."""
    draw = np.random.default_rng(seed)
    centres = [int(x) for x in draw.integers(0, 2**63, 3)]
    num = int(draw.integers(2, 250))
    looks = []
    for _ in range(num):
        bits = {int(b) for b in draw.integers(0, 64, draw.integers(0, 6))}
        looks.append(centres[draw.integers(3)] ^ sum(1 << b for b in bits))
    contents = [f"{look}-{draw.integers(3)}" for look in looks]
    return looks, contents, [bool(x) for x in draw.integers(0, 2, num)]


@pytest.mark.parametrize("seed", range(10))
def test_the_same_pairs_are_found_as_by_comparing_all(seed: int) -> None:
    looks, contents, in_train = drawn(seed)
    places = [(i, j) for j in range(len(looks)) for i in range(j)]
    distances = {(i, j): (looks[i] ^ looks[j]).bit_count() for i, j in places}
    alike = {
        (i, j): d
        for (i, j), d in distances.items()
        if d <= NEAR_BITS and contents[i] != contents[j]
    }
    found = near_pairs(looks, contents, in_train, 200)
    assert found.num_pairs == len(alike)
    assert found.across == sum(in_train[i] != in_train[j] for i, j in alike)
    assert [d for *_, d in found.nearest] == sorted(alike.values())[:200]
    assert all(alike[i, j] == d for i, j, d in found.nearest)
    assert len(set(found.nearest)) == len(found.nearest)


def test_a_hundred_thousand_equal_hashes_are_counted_without_their_pairs() -> None:
    num = 100_000
    found = near_pairs([7] * num, [str(n) for n in range(num)], [n > 0 for n in range(num)], 3)
    assert (found.num_pairs, found.across) == (num * (num - 1) // 2, num - 1)
    assert found.nearest == [(0, 1, 0), (0, 2, 0), (0, 3, 0)]
