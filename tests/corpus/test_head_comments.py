"""The comments before the code, in every language of the table; and real files that still parse."""

import ast
import sysconfig
import time
from pathlib import Path

import pytest

from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.pieces import KnownPieces, repeated_spans, without_spans
from evergrow.corpus.file_names import SUFFIXES
from evergrow.corpus.head_comments import _MARKS, _PAIRS, head_comments

SAID = "Copyright the authors and all who came later"
FILES = {  # a file of each way to comment, with the word "code" where the code begins
    "a.py": f"#!/usr/bin/env python3\n# {SAID}\n\ncode = 1  # {SAID}\n",
    "a.jl": f"# {SAID}\n#= code\n=#\n",
    "a.cpp": f"/*\n * {SAID} 2017\n */\ncode();\n",
    "a.rs": f"// {SAID}\n/* one /* in */ the code */\n",
    "a.go": f"// {SAID}\n//go:build code\n",
    "a.css": f"/* {SAID} */\ncode {{}}\n",
    "a.php": f"<?php\n/* {SAID} */\ncode();\n",
    "a.xml": f'<?xml version="1.0"?>\n<!-- {SAID} -->\n<code/>\n',
    "a.lua": f"-- {SAID}\n--[[ code\n]]\n",
    "a.lisp": f";;; {SAID}\n(code)\n",
    "a.m": f"% {SAID}\n%{{\ncode\n%}}\n",
    "a.f90": f"! {SAID}\nprogram code\n",
    "a.ml": f"(* {SAID} *)\nlet code = 1\n",
    "a.hs": f"{{- {SAID} -}}\ncode = 1\n",
    "a.sql": f"-- {SAID}\ncode;\n",
    "a.mk": f"# {SAID}\n# that goes on \\\ncode\nall:\n",
}


@pytest.mark.parametrize("name", FILES)
def test_the_comment_before_the_code_is_found(name: str) -> None:
    text = FILES[name]
    [found] = head_comments(text, SUFFIXES[name.rpartition(".")[2]])
    assert found.said == SAID
    assert "code" in text[found.end :].splitlines()[0] or name == "a.m" or name == "a.mk"
    assert "code" not in text[: found.end] and not text[: found.start].strip("\n").endswith(SAID)


def test_every_way_to_comment_has_a_file() -> None:
    languages = {SUFFIXES[name.rpartition(".")[2]] for name in FILES}
    for ways in (_MARKS, _PAIRS):
        for names in ways.values():
            assert languages & set(names.split()), names
            assert set(names.split()) - {"dockerfile"} <= set(SUFFIXES.values())
    assert not list(head_comments("# a", "json"))


def test_blocks_are_parted_by_lines_without_words() -> None:
    text = "# one\n#\n# two 2\n# three\n#----\n\n# four\nx = 1\n# five\n"
    found = list(head_comments(text, "python"))
    assert [block.said for block in found] == ["one", "two three", "four"]
    assert text[found[0].start : found[0].end] == "# one\n#\n"
    assert text[found[-1].end :] == "x = 1\n# five\n"


def test_what_shares_its_line_with_code_and_what_never_closes_stay() -> None:
    assert not list(head_comments("/* licence */ int x;\n", "c"))
    assert not list(head_comments("/* licence\nint x;\n", "c"))
    assert not list(head_comments("/* a /* b */\n */\nint x;\n", "rust"))
    assert [block.said for block in head_comments("# only this", "python")] == ["only this"]


@pytest.mark.parametrize("text", ["#" * 10**6, "/*" + "* " * 10**6, "\n" * 10**6, "# a\n" * 10**5])
def test_time_is_linear(text: str) -> None:
    before = time.process_time()
    list(head_comments(text, "php"))
    assert time.process_time() - before < 2


def without_strings(text: str) -> str:
    """C++ without comments and strings, read a character at a time."""
    kept, place = [], 0
    while place < len(text):
        if text.startswith("//", place):
            place = (text.find("\n", place) + 1) or len(text)
        elif text.startswith("/*", place):
            place = (text.find("*/", place) + 2) or len(text)
        elif text[place] in "\"'":
            mark, place = text[place], place + 1
            while place < len(text) and text[place] not in (mark, "\n"):
                place += 1 + (text[place] == "\\")
            place += 1
        else:
            kept.append(text[place])
            place += 1
    return "".join(kept)


def balance(text: str) -> list[int]:
    code = without_strings(text)
    return [code.count(opens) - code.count(closes) for opens, closes in ("{}", "()", "[]")]


def cut(paths: list[Path], root: Path) -> tuple[list[tuple[str, str]], int]:
    """Each file before and after the lines that came before in others went, and how many did."""
    known, pairs, num_cut = KnownPieces(), [], 0
    for path in paths:
        text = path.read_text(encoding="utf-8")
        document = Document.of(text, "code", path.relative_to(root).as_posix())
        spans = repeated_spans(document, "line", 20, known)
        pairs.append((text, without_spans(text, spans)))
        num_cut += len(spans)
    return pairs, num_cut


def test_installed_python_still_parses() -> None:
    root = Path(sysconfig.get_path("stdlib"))
    licensed = sorted(root.glob("*.py")) + sorted(root.glob("*/*.py"))[:150]
    pairs, num_cut = cut(licensed, root)
    assert len(pairs) > 100 and num_cut > 5
    for before, after in pairs:
        assert ast.dump(ast.parse(after)) == ast.dump(ast.parse(before))


def test_installed_headers_keep_their_balance() -> None:
    import torch

    root = Path(torch.__file__).parent / "include"
    headers = sorted(root.glob("c10/*/*.h")) + sorted(root.glob("pybind11/**/*.h"))
    pairs, num_cut = cut(headers, root)
    assert len(pairs) > 100 and num_cut > 5
    for before, after in pairs:
        assert balance(after) == balance(before)
        assert without_strings(after).split() == without_strings(before).split()
