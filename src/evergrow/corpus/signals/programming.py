"""The programming language of a document by its path or its first line, and its domain."""

import re
from typing import Literal

import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.words import Words

_SUFFIXES = """
assembly asm s | batch bat cmd | c c h | c# cs | c++ cc cpp cxx hh hpp hxx cu cuh inl | clojure clj
cmake cmake | css css scss sass less | dart dart | diff diff patch | elixir ex exs | elm elm
erlang erl hrl | fortran f f77 f90 f95 f03 f08 for fpp | f# fs fsx | glsl glsl vert frag | go go
groovy groovy gradle | haskell hs lhs | html html htm xhtml | java java | javascript js jsx mjs cjs
json json ipynb geojson | julia jl | kotlin kt kts | lisp lisp el scm rkt | lua lua
makefile mk mak | matlab m | nix nix | ocaml ml mli | pascal pas | perl pl pm | php php phtml
powershell ps1 psm1 | protobuf proto | python py pyi pyx pxd | r r | ruby rb rake gemspec
rust rs | scala scala sbt | shell sh bash zsh ksh | solidity sol | sql sql | swift swift
tcl tcl | toml toml ini cfg conf | typescript ts tsx mts cts | verilog v sv vhd vhdl
visual-basic vb vbs | xml xml xsd xsl svg plist | yaml yaml yml | zig zig
"""
_NAMES = {
    "makefile": "makefile",
    "gnumakefile": "makefile",
    "dockerfile": "dockerfile",
    "cmakelists.txt": "cmake",
    "rakefile": "ruby",
    "gemfile": "ruby",
    "sconstruct": "python",
    "jenkinsfile": "groovy",
}
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
Domain = Literal["prose", "code"]


def _by_suffix() -> dict[str, str]:
    entries = [part.split() for line in _SUFFIXES.splitlines() for part in line.split("|") if part]
    return {suffix: name for name, *suffixes in filter(None, entries) for suffix in suffixes}


SUFFIXES = _by_suffix()


def programming_language(document: Document) -> str:
    """The language by the name that the data gives the document, by its file's, or by ``#!``.

    Empty for prose: Markdown, plain text and what is in no table. A file of many documents, such
    as JSONL, says nothing of their language.
    """
    for name in (document.key.partition("#")[0], document.path):
        if found := _language_of(name):
            return found
    shebang = _SHEBANG.match(document.text, 0, 200)
    return _PROGRAMS.get(shebang[1].lower(), "") if shebang else ""


def _language_of(name: str) -> str | None:
    file = name.lower().removesuffix(".gz").removesuffix(".zst").rpartition("/")[2]
    return _NAMES.get(file) or (SUFFIXES.get(file.rpartition(".")[2]) if "." in file else None)


def domain_of(document: Document) -> Domain:
    """Whether the rules for prose or those for code speak of this document."""
    return "code" if programming_language(document) else "prose"


def programming(document: Document, words: Words) -> tuple[str, str]:
    """The values of PROGRAMMING's fields."""
    language = programming_language(document)
    return language, "code" if language else "prose"


PROGRAMMING = SignalGroup(
    name="programming",
    version=1,
    fields={"language": pa.string(), "domain": pa.string()},
    compute=programming,
)
