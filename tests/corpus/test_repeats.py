from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.pieces import KnownPieces
from evergrow.corpus.repeats import (
    Dropped,
    KnownDocuments,
    up_to_bytes,
    without_repeated_lines,
    without_repeats,
)

LICENCE = "# Licensed under the terms that stand in the file LICENCE"


def documents(*texts: str) -> list[Document]:
    return [Document.of(text, "web", f"{i}.txt") for i, text in enumerate(texts)]


def kept(
    texts: list[str], min_characters: int | None, earlier: KnownDocuments | None = None
) -> tuple[list[str], Dropped]:
    dropped = Dropped()
    stream = without_repeats(
        documents(*texts), min_characters, earlier or KnownDocuments(), dropped
    )
    return [d.text for d in stream], dropped


def test_exact_duplicates_and_blank_documents_are_dropped_and_counted() -> None:
    texts, dropped = kept(["a", " \n", "b", "a", "a "], None)
    assert texts == ["a", "b", "a "]
    assert dropped == Dropped(exact_duplicates=1, empty=1)


def test_a_long_line_is_kept_where_it_comes_first() -> None:
    texts, dropped = kept([f"{LICENCE}\nx = 1\n", f"  {LICENCE} \r\ny = 2\n", "x = 1\nz\n"], 40)
    assert texts == [f"{LICENCE}\nx = 1\n", "y = 2\n", "x = 1\nz\n"]
    assert dropped == Dropped(repeated_lines=1, repeated_line_bytes=len(LICENCE) + 5)


def test_lines_repeat_inside_a_document_too_and_short_ones_may() -> None:
    lines = KnownPieces()
    dropped = Dropped()
    [document] = documents("12345\n1234\n12345\n1234")
    assert without_repeated_lines(document, 5, lines, dropped).text == "12345\n1234\n1234"
    assert (dropped.repeated_lines, dropped.code_documents) == (1, 0)


def test_code_keeps_its_lines_and_is_counted() -> None:
    function = "def read_all_of_the_files(paths, encoding):\n    return [read(p) for p in paths]\n"
    texts = [f"# {LICENCE}\n{function}a = 1\n", f"# {LICENCE}\n\n{function}b = 2\n"]
    files = [Document.of(text, "web", f"{i}.py") for i, text in enumerate(texts)]
    dropped = Dropped()
    kept = list(without_repeats(files, 40, KnownDocuments(), dropped))
    assert [d.text for d in kept] == [texts[0], f"{function}b = 2\n"]
    assert (dropped.repeated_lines, dropped.code_documents) == (1, 2)
    assert dropped.repeated_line_bytes == len(LICENCE) + 4


def test_a_document_emptied_or_made_equal_by_lost_lines_is_dropped() -> None:
    texts, dropped = kept([f"{LICENCE}\nx", LICENCE, f"{LICENCE}\ny", "y"], 40)
    assert texts == [f"{LICENCE}\nx", "y"]
    assert (dropped.empty, dropped.exact_duplicates) == (1, 1)


def test_lost_lines_leave_the_parent() -> None:
    first, second = documents(f"{LICENCE}\nx", f"{LICENCE}\ny")
    stream = list(without_repeats([first, second], 40, KnownDocuments(), Dropped()))
    assert stream[0] is first
    assert (stream[1].text, stream[1].parent) == ("y", second.content_hash)


def test_documents_of_earlier_sources_are_dropped_as_read_and_as_stored() -> None:
    earlier = KnownDocuments()
    for document in documents(f"{LICENCE}\nwhole", "left over"):
        earlier.add(document.content_hash)
    given = ["new", f"{LICENCE}\nwhole", f"{LICENCE}", f"{LICENCE}\nleft over"]
    texts, dropped = kept(given, 40, earlier)
    assert texts == ["new", LICENCE]
    assert dropped.in_earlier_source == 2


def test_bytes_stop_before_the_document_that_would_exceed_them() -> None:
    texts = [d.text for d in up_to_bytes(documents("éé", "ab", "c"), 6)]
    assert texts == ["éé", "ab"]
    assert [d.text for d in up_to_bytes(documents("éé", "ab", "c"), 5)] == ["éé"]
    assert len(list(up_to_bytes(documents("éé", "ab", "c"), None))) == 3
