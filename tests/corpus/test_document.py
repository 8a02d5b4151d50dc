import pytest
from blake3 import blake3

from evergrow.corpus.document import Document, document_id, with_newlines


def test_a_document_knows_its_origin_and_its_content() -> None:
    document = Document.of("naïve", "web", "a.txt", "2024-05-01")
    assert document.content_hash == blake3("naïve".encode()).hexdigest()
    assert document.id == document_id("web", "a.txt") == blake3(b"web\0a.txt").hexdigest(16)
    assert (document.date, document.date_kind, document.parent) == ("2024-05-01", "declared", None)
    assert document.num_bytes == 6


def test_an_edit_keeps_the_origin_and_names_the_text_as_read() -> None:
    document = Document.of("one two", "web", "a.txt", key="a.txt#7")
    assert document.edited("one two") is document
    twice = document.edited("one").edited("on")
    assert (twice.text, twice.id, twice.key) == ("on", document.id, "a.txt#7")
    assert twice.content_hash == blake3(b"on").hexdigest()
    assert twice.parent == document.content_hash


def test_lines_end_in_one_way_and_a_key_of_its_own_makes_no_file() -> None:
    assert with_newlines("one\r\ntwo\rthree\n\r") == "one\ntwo\nthree\n\n"
    assert Document.of("one", "web", "a.txt").file_name == "a.txt"
    assert Document.of("one", "web", "a.txt", key="a.txt").file_name is None


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(UnicodeEncodeError):
        Document.of("\ud800", "web", "a.txt")
