import time
from pathlib import Path

import numpy as np
import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.pieces import (
    KnownPieces,
    Unit,
    num_slices,
    prose_pieces,
    repeated_in_shard,
    repeated_spans,
    without_spans,
    write_piece_hashes,
    write_repeated,
)

SHARDS = [
    ["alpha alpha\nbravo bravo\nalpha alpha\n", "short\nshort\ncharlie charlie\n"],
    ["bravo bravo\ndelta delta", "  alpha alpha \r\nshort\necho echo echo\n"],
    [],
    ["delta delta\ndelta delta\nfoxtrot foxtrot\n"],
]


def document(text: str, name: str = "a.txt") -> Document:
    return Document.of(text, "s", name)


def cut(text: str, unit: Unit, min_characters: int, known: KnownPieces, name: str = "a.txt") -> str:
    return without_spans(text, repeated_spans(document(text, name), unit, min_characters, known))


def over_shards(folder: Path, hashes_a_slice: int, order: list[int]) -> list[list[str]]:
    """The three steps; the shards are mapped in ``order``, as workers might."""
    hashes = [folder / f"hashes-{i}.npy" for i in range(len(SHARDS))]
    for shard in order:
        write_piece_hashes(hashes[shard], map(document, SHARDS[shard]), "line", 8)
    of = num_slices(hashes, hashes_a_slice)
    slices = [folder / f"slice-{part}.npy" for part in range(of)]
    for part in reversed(range(of)):
        write_repeated(slices[part], hashes, part, of)
    texts: list[list[str]] = [[] for _ in SHARDS]
    for shard in order:
        known = KnownPieces(repeated_in_shard(slices, shard, len(SHARDS)))
        texts[shard] = [cut(text, "line", 8, known) for text in SHARDS[shard]]
    return texts


@pytest.mark.parametrize(("hashes_a_slice", "order"), [(100, [0, 1, 2, 3]), (2, [3, 1, 0, 2])])
def test_the_first_of_the_corpus_stays(
    tmp_path: Path, hashes_a_slice: int, order: list[int]
) -> None:
    texts = over_shards(tmp_path, hashes_a_slice, order)
    assert texts == [
        ["alpha alpha\nbravo bravo\n", "short\nshort\ncharlie charlie\n"],
        ["delta delta", "short\necho echo echo\n"],
        [],
        ["foxtrot foxtrot\n"],
    ]
    known = KnownPieces()
    assert [[cut(text, "line", 8, known) for text in shard] for shard in SHARDS] == texts


def test_many_slices_merge_as_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    hashes = [tmp_path / f"{i}.npy" for i in range(4)]
    for path in hashes:
        lines = "\n".join(f"a line that says {i}" for i in rng.integers(0, 300, 200))
        write_piece_hashes(path, [document(lines)], "line", 5)
    for of in (1, 7):
        for part in range(of):
            write_repeated(tmp_path / f"{of}-{part}.npy", hashes, part, of)
    one, seven = ([tmp_path / f"{of}-{part}.npy" for part in range(of)] for of in (1, 7))
    seen: set[int] = set()
    for shard, path in enumerate(hashes):
        own = np.load(path).tolist()
        found = repeated_in_shard(one, shard, 4)
        assert found.tolist() == [value for value in own if value in seen]
        assert np.array_equal(repeated_in_shard(seven, shard, 4), found)
        seen |= set(own)


def test_every_piece_knows_its_place() -> None:
    text = "one one one\n\ntwo\nthree three"
    assert [text[a:b] for a, b, _ in prose_pieces(text, "line", 4)] == [
        "one one one\n",
        "three three",
    ]
    assert [text[a:b] for a, b, _ in prose_pieces(text, "paragraph", 1)] == [
        "one one one\n\n",
        "two\nthree three",
    ]


def test_a_paragraph_is_the_same_however_its_lines_are_broken() -> None:
    known = KnownPieces()
    first = "# Permission is hereby\n# granted\n\ncode code\n"
    assert cut(first, "paragraph", 10, known) == first
    assert cut("new\n \n# Permission is hereby # granted\n\n\nrest", "paragraph", 10, known) == (
        "new\n \nrest"
    )


def test_a_paragraph_leaves_the_next_its_indentation() -> None:
    known = KnownPieces()
    assert cut("one two three\n\n    four\n", "paragraph", 10, known)
    assert cut("one two three\n \n\n    five\n", "paragraph", 10, known) == "    five\n"


def test_lengths_are_counted_without_the_white_space() -> None:
    assert [*prose_pieces("  1234  \n", "line", 5)] == []
    assert len([*prose_pieces("  12345  \n", "line", 5)]) == 1
    assert [*prose_pieces("1  2\n3", "paragraph", 6)] == []


@pytest.mark.parametrize("text", ["", "\n", "\n\n\n", "   ", "x"])
def test_nothing_to_say(text: str) -> None:
    for unit in ("line", "paragraph"):
        assert cut(text, unit, 0, KnownPieces()) == text


def test_a_line_of_ten_megabytes() -> None:
    known = KnownPieces()
    text = "x" * 10_000_000
    assert cut(text, "line", 1, known) == text
    assert cut(text + "\ny", "line", 1, known) == "y"


LICENCE = "Licensed under the terms that stand in the file LICENCE.md"


def test_code_loses_the_licence_it_begins_with_and_no_line_of_its_own() -> None:
    known = KnownPieces()
    first = f"#!/bin/sh\n# {LICENCE}\n\nif test -e here and there and elsewhere; then\n"
    assert cut(first, "line", 40, known, "a.sh") == first
    again = f"// (c) 2019, {LICENCE}\n\nif test -e here and there and elsewhere; then\n"
    assert cut(again.replace("(c) 2019, ", ""), "line", 40, known, "a.cpp") == again[-46:]
    assert cut(again, "line", 40, known, "a.cpp") == again  # "c" makes it another block
    assert cut(again.replace("2019", "2020-2024"), "line", 40, known, "a.js") == again[-46:]
    assert cut(again[-46:], "line", 40, known, "a.cpp") == again[-46:]


def test_code_in_prose_keeps_its_lines() -> None:
    line = "for every_file in all_of_the_files_that_are_here:"
    page = f"{line}\n```python\n{line}\n    read()\n```\n{line}\n~~~\n{line}\n"
    known = KnownPieces()
    assert cut(page, "line", 40, known) == page.replace(f"```\n{line}\n", "```\n")
    assert cut(f"  >>> {line}\n  ... {line}\n$ {line}\n", "line", 40, known).count(line) == 3
    fenced = f"```\n{line}\n\n{line} again\n```\n\n"
    assert cut(fenced * 3, "paragraph", 10, KnownPieces()) == fenced * 3


def test_prose_knows_nothing_of_lines_in_code() -> None:
    known = KnownPieces()
    line = "for every_file in all_of_the_files_that_are_here:\n"
    assert cut(line + "    read()\n", "line", 40, known, "a.py") == line + "    read()\n"
    assert cut(line, "line", 40, known) == line
    assert cut(line, "line", 40, known) == ""


@pytest.mark.parametrize("text", ["```\n" * 100_001, ">>> a\n" * 100_000, "~~~ " * 100_000])
def test_finding_code_in_prose_takes_linear_time(text: str) -> None:
    before = time.process_time()
    list(prose_pieces(text, "line", 1))
    assert time.process_time() - before < 2
