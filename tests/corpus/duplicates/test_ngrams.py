import numpy as np
import pytest

from evergrow.corpus.duplicates import ngrams
from evergrow.corpus.duplicates.ngrams import constants, mixed, ngram_chunks, ngram_hashes

MASK = (1 << 64) - 1


def by_hand(hashes: list[int], n: int) -> list[int]:
    def one(run: list[int]) -> int:
        total = 0
        for value in run:
            total = (total * ngrams._RATIO + value) & MASK
        return int(mixed(np.array([total], np.uint64))[0])

    return [one(hashes[i : i + n]) for i in range(len(hashes) - n + 1)]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 12, 13])
def test_every_run_is_the_polynomial_of_its_words(n: int) -> None:
    hashes = constants(20, 7)
    assert ngram_hashes(hashes, n).tolist() == by_hand(hashes.tolist(), n)


def test_fewer_words_than_n_have_no_ngram() -> None:
    assert len(ngram_hashes(constants(4, 0), 5)) == 0
    assert list(ngram_chunks(constants(4, 0), 5)) == []


def test_chunks_overlap_so_that_no_ngram_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ngrams, "CHUNK", 7)
    hashes = constants(30, 1)
    assert np.array_equal(np.concatenate(list(ngram_chunks(hashes, 5))), ngram_hashes(hashes, 5))


def test_constants_are_those_of_splitmix64() -> None:
    # the published first outputs of the generator for seed 1234567
    assert constants(3, 1234567).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
    ]
