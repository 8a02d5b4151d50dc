"""The programming language of a document by its name or its first line, and its domain."""

import re
from typing import Literal

import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.file_names import any_file_of, language_of
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words

_PROGRAMS = {
    "python": "python",
    "bash": "shell",
    "sh": "shell",
    "zsh": "shell",
    "ksh": "shell",
    "node": "javascript",
    "perl": "perl",
    "ruby": "ruby",
    "php": "php",
    "lua": "lua",
    "rscript": "r",
    "tclsh": "tcl",
    "julia": "julia",
    "awk": "awk",
}
_SHEBANG = re.compile(r"#!\s*(?:\S*/)?(?:env\s+(?:-S\s+)?)?([A-Za-z]+)[0-9.]*\b")
_MODE = re.compile(r"-\*-[ \t]*(?:mode:[ \t]*)?([A-Za-z+#-]+)[ \t]*(?:;[^\n]*)?-\*-")  # of Emacs
FIRST_LINES = 200  # characters
Domain = Literal["prose", "code"]


def programming_language(document: Document) -> str:
    """The language by the name of the file that the document is, by ``#!`` or by ``-*- C++ -*-``.

    Empty for prose: pages, Markdown, plain text and what is in no table. A file of many documents,
    such as JSONL, says nothing of their language; its rows may.
    """
    if document.file_name and (found := language_of(document.file_name)):
        return found
    if shebang := _SHEBANG.match(document.text, 0, FIRST_LINES):
        return _PROGRAMS.get(shebang[1].lower(), "")
    mode = _MODE.search(document.text, 0, FIRST_LINES)
    return language_of(any_file_of(mode[1]) or "") if mode else ""


def domain_of(document: Document) -> Domain:
    """Whether the rules for prose or those for code speak of this document."""
    return "code" if programming_language(document) else "prose"


def programming(document: Document, words: Words) -> tuple[str, str]:
    """The values of PROGRAMMING's fields."""
    language = programming_language(document)
    return language, "code" if language else "prose"


PROGRAMMING = SignalGroup(
    name="programming",
    version=3,
    fields={"language": pa.string(), "domain": pa.string()},
    compute=programming,
)
