"""Shape: counted by hand."""

import math

from evergrow.corpus.document import Document
from evergrow.corpus.signals.shape import SHAPE
from evergrow.corpus.words import split_words


def shape_of(text: str) -> dict[str, float]:
    values = SHAPE.compute(Document.of(text, "s", "p"), split_words(text))
    return dict(zip(SHAPE.fields, values, strict=True))


def test_values_counted_by_hand() -> None:
    found = shape_of("- the end of 12 …\nThe # the...\n• that\nwent…")
    # - the end of 12 … | The # the ... | • that | went …
    assert found == {
        "num_characters": 43,
        "num_words": 14,
        "num_real_words": 8,
        "mean_word_length": 24 / 8,
        "hashes_per_word": 1 / 14,
        "ellipses_per_word": 3 / 14,
        "bullet_lines": 2 / 4,
        "ellipsis_lines": 3 / 4,
        "alphabetic_words": 7 / 14,
        "distinct_stop_words": 3,
        "stop_words": 4,
    }


def test_shares_of_nothing_are_unknown() -> None:
    found = shape_of("")
    assert (found["num_words"], found["stop_words"]) == (0, 0)
    assert math.isnan(found["mean_word_length"]) and math.isnan(found["bullet_lines"])
