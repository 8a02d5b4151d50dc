import numpy as np
import pytest
from blake3 import blake3

from evergrow.corpus.duplicates import clusters
from evergrow.corpus.duplicates.clusters import (
    Clusters,
    between_sources,
    digest_halves,
    rank_documents,
    repeats,
)
from evergrow.corpus.duplicates.likeness import Likeness, Pair


def hashes(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint64)


def cluster(
    bands_DB: np.ndarray,
    rank_D: np.ndarray,
    allowed_D: np.ndarray,
    num_fixed: int = 0,
    signatures_DP: np.ndarray | None = None,
) -> np.ndarray:
    """Who repeats whom when all that share a band are alike, or with these signatures at 0.7."""
    return clustered(bands_DB, rank_D, allowed_D, num_fixed, signatures_DP).repeat_of_D


def clustered(
    bands_DB: np.ndarray,
    rank_D: np.ndarray,
    allowed_D: np.ndarray,
    num_fixed: int = 0,
    signatures_DP: np.ndarray | None = None,
) -> Clusters:
    if signatures_DP is None:
        signatures_DP = np.zeros((len(rank_D), 1), np.uint8)
    exact: dict[Pair, float | None] = {}
    likeness = Likeness(
        at_least=0.7,
        permutations=112,
        signatures_of=signatures_DP.__getitem__,
        exact=exact,
        compare=lambda pairs: exact.update(dict.fromkeys(pairs)),  # the estimates decide
    )
    return clusters.cluster(bands_DB.T, likeness, rank_D, allowed_D, num_fixed)


def everyone(num: int) -> np.ndarray:
    return np.ones(num, bool)


def test_a_shared_band_joins_and_the_lowest_rank_stays() -> None:
    bands = hashes([1, 2], [3, 4], [1, 9], [5, 4], [7, 8])
    assert cluster(bands, np.array([1, 0, 0, 1, 5]), everyone(5)).tolist() == [2, -1, -1, 1, -1]


def test_only_a_document_that_stays_drops_another() -> None:
    bands = hashes([1, 2], [1, 3], [4, 3])
    rank = np.arange(3)
    assert cluster(bands, rank, everyone(3)).tolist() == [-1, 0, -1]
    assert cluster(bands, np.array([1, 0, 2]), everyone(3)).tolist() == [1, -1, 1]
    assert cluster(bands, rank, np.array([False, True, True])).tolist() == [-1, -1, 1]


def test_the_partner_is_the_first_of_those_that_stay() -> None:
    bands = hashes([1, 9], [2, 8], [1, 2])
    assert cluster(bands, np.array([1, 0, 2]), everyone(3)).tolist() == [-1, -1, 0]
    bands = hashes([1, 9], [8, 2], [1, 2])
    assert cluster(bands, np.array([1, 0, 2]), everyone(3)).tolist() == [-1, -1, 1]


def test_documents_of_earlier_corpora_stay_and_drop_whatever_their_rank() -> None:
    bands = hashes([1, 2], [1, 3], [4, 3], [4, 5])
    rank = np.array([2, 3, 1, 0])
    assert cluster(bands, rank, everyone(4), num_fixed=2).tolist() == [-1, -1, 1, -1]
    assert cluster(bands, rank, everyone(4)).tolist() == [-1, 0, 3, -1]


def test_the_same_hash_in_two_different_bands_joins_nothing() -> None:
    assert cluster(hashes([1, 2], [2, 3]), np.arange(2), everyone(2)).tolist() == [-1, -1]


def test_documents_without_words_are_no_cluster() -> None:
    assert cluster(hashes([0, 0], [0, 0]), np.arange(2), everyone(2)).tolist() == [-1, -1]


def test_nothing_at_all() -> None:
    assert cluster(np.empty((0, 14), np.uint64), np.arange(0), everyone(0)).tolist() == []


def test_what_shares_a_band_stays_when_it_is_not_alike() -> None:
    bands = hashes([1], [1], [1], [1])
    signatures = np.full((4, 112), 7, np.uint8)
    signatures[1, :34] = 8  # 78 of 112 agree: .695 without chance
    signatures[2, :33] = 9  # 79 agree with the first: .704
    signatures[3] = signatures[1]
    found = clustered(bands, np.arange(4), everyone(4), signatures_DP=signatures)
    assert found.repeat_of_D.tolist() == [-1, -1, 0, 1]
    assert (found.num_found, found.num_compared) == (1 + 2 + 2, 5)


def test_a_band_of_many_that_stay_takes_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "MAX_COMPARED", 3)
    signatures = np.random.default_rng(0).integers(0, 256, (50, 112)).astype(np.uint8)
    signatures[49], signatures[48] = signatures[0], signatures[40]
    bands = np.ones((50, 2), np.uint64)
    bands[40, 1] = bands[48, 1] = 5  # the pair shares a band of its own
    found = clustered(bands, np.arange(50), everyone(50), signatures_DP=signatures)
    assert np.flatnonzero(found.repeat_of_D >= 0).tolist() == [48, 49]
    assert found.num_found < 50 * 4


@pytest.mark.parametrize("num_fixed", [0, 700])
def test_as_one_after_another_does(num_fixed: int) -> None:
    rng = np.random.default_rng(3)
    num = 3000
    bands = rng.integers(1, 3000, (num, 3)).astype(np.uint64)
    allowed, rank = rng.random(num) < 0.8, rng.integers(0, 1000, num)
    found = cluster(bands, rank, allowed, num_fixed)
    assert found.tolist() == plain(bands, rank, allowed, num_fixed)
    assert 500 < np.count_nonzero(found >= 0) < 2400
    assert np.array_equal(cluster(bands[:, ::-1], rank, allowed, num_fixed), found)


def plain(bands: np.ndarray, rank: np.ndarray, allowed: np.ndarray, num_fixed: int) -> list[int]:
    """The definition, with a dictionary a band."""
    found = [-1] * len(bands)
    order = sorted(range(len(bands)), key=lambda row: (row >= num_fixed, rank[row], row))
    stars: list[dict[int, int]] = [{} for _ in range(bands.shape[1])]
    for place, row in enumerate(order):
        if not allowed[row]:
            continue
        values = bands[row].tolist()
        places = [star[v] for star, v in zip(stars, values, strict=True) if v in star]
        if places and row >= num_fixed:
            found[row] = order[min(places)]
            continue
        for star, value in zip(stars, values, strict=True):
            star.setdefault(value, place)
    return found


def test_a_chain_of_a_hundred_thousand_keeps_every_other() -> None:
    num = 100_000
    pairs = np.repeat(np.arange(num // 2, dtype=np.uint64), 2) + np.uint64(1)
    shifted = np.roll(pairs, 1)
    shifted[0] = num
    found = cluster(np.stack([pairs, shifted], axis=1), np.arange(num), everyone(num))
    assert np.all(found[::2] == -1) and np.array_equal(found[1::2], np.arange(0, num, 2))


def test_exact_repeats_compare_128_bits() -> None:
    hashes_D2 = hashes([5, 1], [5, 2], [5, 1], [6, 1], [5, 2])
    assert repeats(hashes_D2, np.array([3, 4, 1, 2, 0]), everyone(5)).tolist() == [2, 4, -1, -1, -1]
    digests = [blake3(text).hexdigest() for text in (b"a", b"b", b"a")]
    assert repeats(digest_halves(digests), np.arange(3), everyone(3)).tolist() == [-1, -1, 0]


def test_ranks() -> None:
    characters, num_bytes = np.array([5, 9, 9, 1, 9]), np.array([50, 12, 11, 90, 11])
    assert rank_documents("first", characters, num_bytes).tolist() == [0, 1, 2, 3, 4]
    assert rank_documents("longest", characters, num_bytes).tolist() == [3, 2, 0, 4, 1]


def test_the_newest_date_ranks_first_and_an_unknown_one_last() -> None:
    dates = ["2019", None, "2024-05", "2024-05-01T00:00:00+02:00", "last week", "2024-05-02"]
    ranks = rank_documents("newest", np.zeros(6), np.zeros(6), dates)
    assert ranks.tolist() == [3, 4, 1, 2, 5, 0]


@pytest.mark.parametrize("date", ["2024-02-30", "0000", "2024-13"])
def test_a_day_that_never_was_is_unknown(date: str) -> None:
    assert rank_documents("newest", np.zeros(2), np.zeros(2), [date, "1970"]).tolist() == [1, 0]


def test_sources_count_what_they_repeat_of_themselves_and_of_others() -> None:
    counts = between_sources(np.array([-1, 0, 0, 3, -1]), np.array([0, 0, 1, 1, 1]), 2)
    assert counts.tolist() == [[1, 0], [1, 1]]
