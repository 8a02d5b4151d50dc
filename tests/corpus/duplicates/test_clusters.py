import numpy as np
import pytest
from blake3 import blake3

from evergrow.corpus.duplicates.clusters import (
    between_sources,
    cluster,
    cluster_columns,
    digest_halves,
    rank_documents,
    repeats,
)


def hashes(*rows: list[int]) -> np.ndarray:
    return np.array(rows, np.uint64)


def everyone(num: int) -> np.ndarray:
    return np.ones(num, bool)


def test_a_shared_band_joins_and_the_lowest_rank_stays() -> None:
    bands = hashes([1, 2], [3, 4], [1, 9], [5, 4], [7, 8])
    assert cluster(bands, np.array([1, 0, 0, 1, 5]), everyone(5)).tolist() == [2, -1, -1, 1, -1]


def test_a_third_document_joins_two_but_not_when_it_takes_no_part() -> None:
    bands = hashes([1, 2], [1, 3], [4, 3])
    rank = np.arange(3)
    assert cluster(bands, rank, everyone(3)).tolist() == [-1, 0, 0]
    assert cluster(bands, rank, np.array([True, False, True])).tolist() == [-1, -1, -1]


def test_the_same_hash_in_two_different_bands_joins_nothing() -> None:
    assert cluster(hashes([1, 2], [2, 3]), np.arange(2), everyone(2)).tolist() == [-1, -1]


def test_documents_without_words_are_no_cluster() -> None:
    assert cluster(hashes([0, 0], [0, 0]), np.arange(2), everyone(2)).tolist() == [-1, -1]


def test_nothing_at_all() -> None:
    assert cluster(np.empty((0, 14), np.uint64), np.arange(0), everyone(0)).tolist() == []


def test_as_a_plain_union_find_does_whatever_the_order_of_bands() -> None:
    rng = np.random.default_rng(3)
    num = 3000
    bands = rng.integers(1, 4500, (num, 3)).astype(np.uint64)
    allowed, rank = rng.random(num) < 0.8, rng.permutation(num)
    found = cluster(bands, rank, allowed)
    assert found.tolist() == plain(bands, rank, allowed)
    assert 500 < np.count_nonzero(found >= 0) < 2400
    assert np.array_equal(cluster(bands[:, ::-1], rank, allowed), found)


def plain(bands: np.ndarray, rank: np.ndarray, allowed: np.ndarray) -> list[int]:
    parent = list(range(len(bands)))

    def root(row: int) -> int:
        while parent[row] != row:
            row = parent[row]
        return row

    for column in bands.T.tolist():
        first: dict[int, int] = {}
        for row in np.flatnonzero(allowed).tolist():
            parent[root(row)] = root(first.setdefault(column[row], row))
    best: dict[int, int] = {}
    for row in np.argsort(rank).tolist():
        best.setdefault(root(row), row)
    return [-1 if best[root(row)] == row else best[root(row)] for row in range(len(bands))]


def test_a_chain_of_a_hundred_thousand_is_one_cluster() -> None:
    num = 100_000
    pairs = np.repeat(np.arange(num // 2, dtype=np.uint64), 2) + np.uint64(1)
    shifted = np.roll(pairs, 1)
    shifted[0] = num
    mixed = np.random.default_rng(0).permutation(num)
    for order in (slice(None), slice(None, None, -1), mixed):
        found = cluster_columns([pairs[order], shifted[order]], np.arange(num), everyone(num))
        assert found[0] == -1 and np.all(found[1:] == 0)


def test_exact_repeats_compare_128_bits() -> None:
    hashes_D2 = hashes([5, 1], [5, 2], [5, 1], [6, 1], [5, 2])
    assert repeats(hashes_D2, np.array([3, 4, 1, 2, 0]), everyone(5)).tolist() == [2, 4, -1, -1, -1]
    digests = [blake3(text).hexdigest() for text in (b"a", b"b", b"a")]
    assert repeats(digest_halves(digests), np.arange(3), everyone(3)).tolist() == [-1, -1, 0]


def test_ranks() -> None:
    num_bytes = np.array([5, 9, 9, 1])
    assert rank_documents("first", num_bytes).tolist() == [0, 1, 2, 3]
    assert rank_documents("longest", num_bytes).tolist() == [2, 0, 1, 3]


def test_the_newest_date_ranks_first_and_an_unknown_one_last() -> None:
    dates = ["2019", None, "2024-05", "2024-05-01T00:00:00+02:00", "last week", "2024-05-02"]
    ranks = rank_documents("newest", np.zeros(6), dates)
    assert ranks.tolist() == [3, 4, 1, 2, 5, 0]


@pytest.mark.parametrize("date", ["2024-02-30", "0000", "2024-13"])
def test_a_day_that_never_was_is_unknown(date: str) -> None:
    assert rank_documents("newest", np.zeros(2), [date, "1970"]).tolist() == [1, 0]


def test_sources_count_what_they_repeat_of_themselves_and_of_others() -> None:
    counts = between_sources(np.array([-1, 0, 0, 3, -1]), np.array([0, 0, 1, 1, 1]), 2)
    assert counts.tolist() == [[1, 0], [1, 1]]
