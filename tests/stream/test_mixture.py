import random
from fractions import Fraction

import pytest

from evergrow.stream.mixture import Mixture, share_weights

DECIMALS = [
    (0.5, 0.5),
    (0.25, 0.75),
    (0.05, 0.95),
    (0.7, 0.2, 0.1),
    (0.333, 0.333, 0.334),
    (0.01, 0.29, 0.3, 0.4),
]


def random_shares() -> list[tuple[int, ...]]:
    draw = random.Random(0)
    found = [tuple(draw.randint(1, 60) for _ in range(draw.randint(1, 7))) for _ in range(40)]
    return [*found, (1,), (1, 1), (1, 99), (1, 1, 1, 997), (500, 1, 499), (0, 3, 2), (0, 1)]


def worst_gap(shares: tuple[int, ...]) -> Fraction:
    """The largest distance of any source's count from its share, over two periods of prefixes."""
    mixture, total = Mixture(shares), sum(shares)
    counts, worst = [0] * len(shares), Fraction(0)
    for n in range(1, 2 * total + 1):
        counts[mixture.source_of(n - 1)] += 1
        gaps = (
            abs(count - Fraction(share * n, total))
            for count, share in zip(counts, shares, strict=True)
        )
        worst = max(worst, *gaps)
    return worst


@pytest.mark.parametrize("shares", random_shares(), ids=str)
def test_every_prefix_is_within_one_sample_of_every_share(shares: tuple[int, ...]) -> None:
    assert worst_gap(shares) < 1


@pytest.mark.parametrize("weights", DECIMALS, ids=str)
def test_decimal_weights_are_kept_to_the_last_digit(weights: tuple[float, ...]) -> None:
    shares = share_weights(weights)
    total = sum(shares)
    assert [Fraction(s, total) for s in shares] == [Fraction(str(w)) for w in weights]
    assert worst_gap(shares) < 1


def test_simple_fractions_are_kept_too() -> None:
    assert share_weights((1 / 3, 2 / 3)) == (1, 2)
    assert share_weights((0.1, 1 - 0.1)) == (1, 9)
    assert share_weights((1 - 0.9, 0.9)) == (1, 9)  # 1 - 0.9 is 0.09999999999999998
    assert share_weights((1.0,)) == (1,)
    assert share_weights((0.0, 1.0)) == (0, 1)


def test_what_has_no_common_denominator_is_rounded_by_largest_remainder() -> None:
    # 100,000 / (1 + 2**.5 + 3**.5) = 24118.01.., 34108.01.., 41773.9..: the rest goes to the last.
    roots = [1.0, 2**0.5, 3**0.5]
    exact = [100_000 * r / sum(roots) for r in roots]
    assert [int(e) for e in exact] == [24118, 34108, 41773]
    assert share_weights([r / sum(roots) for r in roots]) == (24118, 34108, 41774)


def test_count_is_what_counting_gives() -> None:
    for shares in ((3, 1), (7, 11, 2), (0, 1), (19, 1), (4, 6)):
        mixture = Mixture(shares)
        taken = [mixture.source_of(n) for n in range(100)]
        for n in range(101):
            for j in range(len(shares)):
                assert mixture.count(n, j) == taken[:n].count(j)


def test_shares_with_a_common_factor_are_the_same_mixture() -> None:
    small, large = Mixture((1, 3, 2)), Mixture((1000, 3000, 2000))
    assert [small.source_of(n) for n in range(60)] == [large.source_of(n) for n in range(60)]


def test_equal_shares_take_turns() -> None:
    mixture = Mixture((1, 1, 1))
    assert [mixture.source_of(n) for n in range(6)] == [0, 1, 2, 0, 1, 2]


def test_replay_of_a_twentieth_is_carried_over_batches_of_four() -> None:
    kinds = Mixture(share_weights((0.05, 0.95)))
    per_batch = [
        [kinds.source_of(n) for n in range(4 * batch, 4 * batch + 4)].count(0)
        for batch in range(1000)
    ]
    assert set(per_batch) == {0, 1}
    for first in range(0, 1000, 5):
        assert sum(per_batch[first : first + 5]) == 1
