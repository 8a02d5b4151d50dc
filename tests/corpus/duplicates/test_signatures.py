import pickle

import numpy as np
import pyarrow as pa
import pytest
from blake3 import blake3

from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.ngrams import constants, mixed
from evergrow.corpus.duplicates.signatures import (
    MinHash,
    band_hashes,
    bands_of,
    jaccard,
    minhash,
    shingles,
    signature,
    signatures_of,
    similarities,
)
from evergrow.corpus.words import split_words
from evergrow.errors import InputError

TEXT = "It was the best of times, it was the worst of times, it was the age of wisdom."


def signed(text: str) -> tuple[bytes | None, bytes | None, int]:
    bands, signature, characters = minhash().compute(Document.of(text, "s", "p"), split_words(text))
    return bands, signature, characters


def test_signatures_are_the_same_on_every_machine() -> None:
    bands, values, characters = signed(TEXT)
    assert bands is not None and values is not None
    assert (len(bands), len(values), characters) == (112, 112, 58)
    assert blake3(bands + values).hexdigest(8) == "94a5f09849826f26"


def test_case_white_space_and_symbols_do_not_count_but_words_do() -> None:
    assert signed('"It was\n THE best of times;" it was the worst of times') == signed(
        "it was the best of times, it was the worst of times."
    )
    assert signed(TEXT) != signed(TEXT.replace("wisdom", "folly"))


def test_a_text_shorter_than_a_shingle_repeats_only_what_it_equals() -> None:
    assert signed("") == signed(" \n") == signed("--- !!") == (None, None, 0)
    assert signed("The MIT License, amended") == (None, None, 20)
    assert signed("The MIT License, amended again")[0] is not None


def test_the_length_does_not_depend_on_the_spelling() -> None:
    composed, taken_apart = "Grüße an die Bären", "Gru\u0308\u00dfe an die Ba\u0308ren"
    assert signed(composed)[2] == signed(taken_apart)[2] == signed(f"«{composed}» !")[2] == 15


def test_a_million_texts_of_one_shingle_are_a_million_texts() -> None:
    """In 32 bits about 110 pairs of them would share every band."""
    hashes = constants(1_000_000, 77)
    compute = MinHash(1, 1, 1)
    least = mixed(hashes) * compute.factors_P1[0] + compute.offsets_P1[0]
    assert np.array_equal(compute.values(hashes[:1]), least[:1])
    assert len(np.unique(least)) == 1_000_000


def test_the_exact_share_of_shingles() -> None:
    def similar(one: str, other: str) -> float:
        return jaccard(shingles(one, 5), shingles(other, 5))

    assert similar("a b c d e f", "A b, c d e g") == 1 / 3
    assert similar("a b c d e", "a b c d") == similar("a", "a") == 0
    assert similar(TEXT, TEXT.upper()) == 1


def test_a_long_text_of_one_word_has_the_signature_of_six_of_it() -> None:
    assert signed("word " * 200_000)[:2] == signed("word " * 6)[:2]


def test_the_order_of_chunks_and_repeats_do_not_count() -> None:
    compute = MinHash(112, 14, 1)
    hashes = constants(3000, 5)
    again = np.concatenate((hashes[::-1], hashes[:500]))
    assert np.array_equal(compute.values(hashes), compute.values(again))


@pytest.mark.parametrize("shared", [0.3, 0.5, 0.7, 0.9])
def test_equal_places_estimate_the_jaccard_similarity(shared: float) -> None:
    """Mean and spread over 300 pairs of sets whose similarity is known; words are shingles here."""
    compute = MinHash(112, 14, 1)
    num_shared = round(400 * shared / (1 + shared))
    union = 400 - num_shared
    truth = num_shared / union
    estimates = []
    for pair in range(300):
        words = constants(union, 1000 * pair)
        one, other = compute.values(words[:200]), compute.values(words[union - 200 :])
        estimates.append(similarities(signature(one), signature(other)[None])[0])
    spread = np.sqrt(truth * (1 - truth) / 112)
    assert abs(np.mean(estimates) - truth) < 3 * spread / np.sqrt(300)
    assert 0.85 < np.std(estimates) / spread < 1.15


def test_bands_come_back_from_a_sliced_column_with_nulls() -> None:
    group = minhash(8, 4, 2)
    rows = [group.compute(Document.of(t, "s", t), split_words(t))[0] for t in ("a b", "c d", "e f")]
    column = pa.chunked_array(
        [[rows[0], None], [rows[1], None, rows[2]]], group.fields["bands"]
    ).slice(1)
    bands = bands_of(column)
    assert bands.shape == (4, 4)
    assert not bands[0].any() and not bands[2].any()
    assert [bands[1].tobytes(), bands[3].tobytes()] == rows[1:]
    assert np.all(bands[[1, 3]] > 0)
    assert signatures_of(pa.array([b"ab", None], pa.binary(2))).tolist() == [[97, 98], [0, 0]]
    whole = pa.array(rows, group.fields["bands"])
    assert [row.tobytes() for row in bands_of(whole.slice(1, 1))] == rows[1:2]


def test_a_band_is_the_hash_of_its_own_rows() -> None:
    compute = MinHash(8, 4, 1)
    values = compute.values(constants(9, 9))
    changed = values.copy()
    changed[5] += 1
    same = band_hashes(values, 4) == band_hashes(changed, 4)
    assert same.tolist() == [True, True, False, True]


def test_the_key_names_every_number_and_the_group_can_go_to_a_worker() -> None:
    keys = {minhash().key, minhash(128, 16).key, minhash(112, 16).key, minhash(shingle=3).key}
    assert len(keys) == 4
    group = pickle.loads(pickle.dumps(minhash().compute))
    assert group(Document.of(TEXT, "s", "p"), split_words(TEXT)) == signed(TEXT)


def test_permutations_that_do_not_fill_the_bands_are_refused() -> None:
    with pytest.raises(InputError, match="100 permutations in 14 bands"):
        minhash(100)
