import pytest
from blake3 import blake3

from evergrow.corpus.document import Document


def test_the_id_is_the_hash_of_the_utf8_bytes() -> None:
    document = Document.of("naïve", "web", "a.txt", "2024-05-01")
    assert document.id == blake3("naïve".encode()).hexdigest()
    assert document.num_bytes == 6
    assert (document.date, document.parent) == ("2024-05-01", None)


def test_an_edit_keeps_the_origin_and_points_to_the_text_as_read() -> None:
    document = Document.of("one two", "web", "a.txt")
    assert document.edited("one two") is document
    twice = document.edited("one").edited("on")
    assert twice == Document("on", "web", "a.txt", None, blake3(b"on").hexdigest(), document.id)


def test_half_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        Document.of("\ud800", "web", "a.txt")
