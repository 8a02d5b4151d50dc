"""Code: languages by name and first line, comments, visible text, encoded data."""

import math
import time

import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.signals.code import CODE, comment_share
from evergrow.corpus.signals.programming import domain_of, programming_language
from evergrow.corpus.words import split_words


def code_of(text: str, path: str = "a.py") -> dict[str, float]:
    values = CODE.compute(Document.of(text, "s", path), split_words(text))
    return dict(zip(CODE.fields, values, strict=True))


@pytest.mark.parametrize(
    ("file_name", "text", "language"),
    [
        ("src/a.py", "", "python"),
        ("a.PY.gz", "", "python"),
        ("deep/Makefile", "", "makefile"),
        ("*.rs", "", "rust"),
        ("r", "", ""),
        ("README.md", "", ""),
        ("run", "#!/usr/bin/env python3\n", "python"),
        ("run", "#!/bin/sh -e\n", "shell"),
        ("run", "#!/opt/unknown\n", ""),
        ("run", "// <vector> -*- C++ -*-\n", "c++"),
        ("run", "# -*- coding: utf-8 -*-\n", ""),
        ("run", "-*- mode: python; indent: 4 -*-\n", "python"),
        ("config.h.in", "", "c"),
        ("page.html", "", "html"),
        (None, "", ""),
        (None, "#!/usr/bin/env python3\n", "python"),
    ],
)
def test_the_language_by_name_or_first_line(
    file_name: str | None, text: str, language: str
) -> None:
    document = Document.of(text, "s", "dump.json", key="a.py", file_name=file_name)
    assert programming_language(document) == language
    assert domain_of(document) == ("code" if language else "prose")


@pytest.mark.parametrize(
    ("text", "language", "comments"),
    [
        ("x = 1  # five\n", "python", "# five"),
        ('x = "# no"  # yes\n', "python", "# yes"),
        ('def f():\n    """Says."""\n    x = """not"""\n', "python", '"""Says."""'),
        ("'''never closed", "python", "'''never closed"),
        ("a(); // one\n/* two\n*/ b('//');", "javascript", "// one/* two\n*/"),
        ("s = `// ${x} /* `; // it", "javascript", "// it"),
        ("/* open", "java", "/* open"),
    ],
)
def test_comments_as_a_share(text: str, language: str, comments: str) -> None:
    assert comment_share(text, language) == len(comments) / len(text)


def test_other_languages_have_no_comment_rule() -> None:
    assert math.isnan(comment_share("// c", "go"))


def test_lines_and_characters_by_hand() -> None:
    found = code_of("ab1 +\n\ncd")  # 9 characters, 4 words
    assert (found["longest_line"], found["mean_line"]) == (5, 7 / 3)
    assert found["letters_and_digits"] == 5 / 9
    assert found["letters"] == 4 / 9
    assert found["letters_per_word"] == 4 / 3


def test_what_a_reader_sees_of_a_page() -> None:
    page = "<p class='a'>Hello</p><!-- no --><script>no()</script><style>no</style>&lt; 1 < 2"
    found = code_of(page, "a.html")
    assert found["visible_characters"] == len("Hello&lt; 1 < 2")
    assert found["visible"] == len("Hello&lt; 1 < 2") / len(page)
    assert math.isnan(code_of(page)["visible"])


@pytest.mark.parametrize(
    "data",
    ["QUJD" * 16, "0x1f, " * 8, "de ad be ef " * 2, r"\x1f" * 8, r"\u00e9" * 8, "QUJD" * 400],
)
def test_encoded_data_is_found_whole(data: str) -> None:
    assert code_of(f"x = '{data}'")["longest_encoded"] == len(data)


def test_prose_is_not_encoded() -> None:
    assert (
        code_of("These words are long but no data, as anyone can see at a glance.")["encoded"] == 0
    )


@pytest.mark.parametrize("piece", ['"""', "/*", "<!--", "<script>", "<a ", "'", "`", "\\x1", "0x"])
@pytest.mark.parametrize("path", ["a.py", "a.js", "a.html"])
def test_no_pattern_runs_away(piece: str, path: str) -> None:
    begun = time.process_time()
    code_of(piece * 20_000, path)
    assert time.process_time() - begun < 5  # quadratic time would be minutes
