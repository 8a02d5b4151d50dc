import pytest

from evergrow.corpus.config import HeldOutConfig
from evergrow.corpus.document import Document
from evergrow.corpus.held_out import (
    EVERYTHING,
    Split,
    choose_held_out,
    held_out_bytes,
    split_documents,
)
from evergrow.errors import InputError

SMALL = HeldOutConfig(fraction=0.1, tokens=200)  # 1,000 bytes


def notes(count: int) -> list[Document]:
    return [Document.of(f"note {i:04d}\n" * 2, "web", f"{i}.txt") for i in range(count)]


def parted(documents: list[Document], config: HeldOutConfig) -> tuple[list[str], list[str]]:
    num_bytes = sum(d.num_bytes for d in documents)
    split = choose_held_out(lambda: documents, num_bytes, config, "web")
    found = list(split_documents(documents, split))
    return [d.text for d, out in found if not out], [d.text for d, out in found if out]


def test_the_larger_of_fraction_and_tokens() -> None:
    assert held_out_bytes(HeldOutConfig(fraction=0.02, tokens=20_000), 1_000_000) == 100_000
    assert held_out_bytes(HeldOutConfig(fraction=0.02, tokens=20_000), 10_000_000) == 200_000


def test_the_documents_with_the_smallest_hashes_are_held_out() -> None:
    documents = notes(200)  # 20 bytes each
    training, held_out = parted(documents, SMALL)
    by_hash = [d.text for d in sorted(documents, key=lambda d: d.content_hash)]
    assert sorted(held_out) == sorted(by_hash[:50])
    assert sorted(training + held_out) == sorted(by_hash)


def test_the_order_of_the_documents_does_not_matter() -> None:
    documents = notes(200)
    assert sorted(parted(documents, SMALL)[1]) == sorted(parted(documents[::-1], SMALL)[1])


def test_a_source_too_small_is_refused_with_the_bytes_needed() -> None:
    documents = notes(99)
    with pytest.raises(InputError) as error:
        parted(documents, SMALL)
    assert str(error.value) == (
        "sources.web: 1,980 bytes of text are too few, 2,000 are needed to hold out 200 tokens; "
        "give it more text or lower held_out.tokens"
    )
    assert len(parted(notes(100), SMALL)[1]) == 50


def test_a_book_is_held_out_in_small_parts_and_nothing_is_lost() -> None:
    book = Document.of("".join(f"line {i:05d}\n" for i in range(5000)), "web", "book")
    training, held_out = parted([book], HeldOutConfig(fraction=0.02, tokens=2560))
    assert len(held_out) in (32, 33)
    assert max(map(len, held_out)) <= 12_800 // 32
    assert 12_800 <= sum(map(len, held_out)) <= 13_200
    assert all(text in book.text for text in training + held_out)
    assert sum(map(len, training + held_out)) == len(book.text)
    assert not set("".join(training).split("\n")[:-1]) & set("".join(held_out).split("\n")[:-1])


def test_what_is_left_around_a_part_stays_together_and_knows_its_parent() -> None:
    book = Document.of("aaaa\nbbbb\ncccc\ndddd\n", "web", "book")
    part = Document.of("cccc\n", "web", "book")
    found = list(split_documents([book], Split(frozenset([part.content_hash]), part_bytes=5)))
    assert [(d.text, out) for d, out in found] == [
        ("aaaa\nbbbb\n", False),
        ("cccc\n", True),
        ("dddd\n", False),
    ]
    assert {d.parent for d, _ in found} == {book.content_hash}


def test_a_document_without_held_out_part_is_untouched() -> None:
    book = Document.of("aaaa\nbbbb\n", "web", "book")
    found = list(split_documents([book], Split(frozenset(), part_bytes=5)))
    assert found == [(book, False)]
    assert found[0][0] is book


def test_a_text_that_occurs_twice_is_not_held_out() -> None:
    pages = ["".join(f"{page} {i:07d}\n" for i in range(21)) for page in range(100, 140)]
    shared, unique = pages[:20], pages[20:]
    texts = [*shared, *(a + b for a, b in zip(shared, unique, strict=True))]
    documents = [Document.of(text, "web", "p") for text in texts]
    training, held_out = parted(documents, HeldOutConfig(fraction=0.3, tokens=1))
    assert len(held_out) == 18
    assert set(held_out) < set(unique)
    assert sorted("".join(training + held_out)) == sorted("".join(texts))


def test_of_a_source_that_is_only_measured_everything_is_held_out() -> None:
    texts = ["".join(f"line {j} of text {i}\n" for j in range(30)) for i in range(5)]
    documents = [Document.of(text, "old", f"{i}") for i, text in enumerate(texts)]
    num_bytes = sum(d.num_bytes for d in documents)
    split = choose_held_out(lambda: documents, num_bytes, EVERYTHING, "old")
    parts = list(split_documents(documents, split))
    assert all(is_held_out for _, is_held_out in parts)
    assert sum(part.num_bytes for part, _ in parts) == num_bytes
