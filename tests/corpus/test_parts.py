from evergrow.corpus.document import Document, document_id
from evergrow.corpus.parts import cut


def texts(text: str, max_bytes: int) -> list[str]:
    return [part.text for part in cut(Document.of(text, "s", "p"), max_bytes)]


def test_a_document_that_fits_is_itself() -> None:
    document = Document.of("abc\n", "s", "p")
    assert cut(document, 4) == [document]
    assert cut(document, 4)[0] is document


def test_parts_end_with_lines_and_are_about_equal() -> None:
    assert texts("aaaa\nbbbb\ncccc\ndddd\n", 15) == ["aaaa\nbbbb\n", "cccc\ndddd\n"]
    assert texts("aaaa\nbbbb", 5) == ["aaaa\n", "bbbb"]


def test_a_long_line_is_cut_after_a_space_or_else_between_characters() -> None:
    assert texts("one two three", 8) == ["one two ", "three"]
    assert texts("éééé", 5) == ["éé", "éé"]


def test_parts_join_to_the_text_and_never_exceed_the_limit() -> None:
    text = "".join(f"{'wörd ' * (i % 40)}\r\n" + "x" * (i % 130) for i in range(60))
    for limit in (4, 17, 64, 1000):
        parts = texts(text, limit)
        assert "".join(parts) == text
        assert max(len(part.encode()) for part in parts) <= limit


def test_parts_name_the_document_they_were_cut_from() -> None:
    document = Document.of("aaaa\nbbbb\n", "s", "p", "2020")
    for part in cut(document, 5):
        assert (part.parent, part.path, part.date) == (document.content_hash, "p", "2020")


def test_parts_have_keys_and_ids_of_their_own() -> None:
    document = Document.of("ab\ncd\nef\n", "s", "p", key="p#7")
    parts = cut(document, 3)
    assert [part.key for part in parts] == ["p#7", "p#7#3", "p#7#6"]
    assert parts[0].id == document.id
    assert [part.id for part in parts] == [document_id("s", part.key) for part in parts]
