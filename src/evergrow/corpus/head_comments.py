"""The comments that a file of code begins with: licences, mostly, and nothing that runs.

Only there is it certain without a parser what a comment is: no string and no bracket is open yet.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_MARKS = {  # how a line of comment begins, as a pattern, and in which languages
    "#": "python ruby shell perl r yaml toml makefile dockerfile cmake nix elixir tcl powershell",
    "#(?!=)": "julia",
    "//": "c c++ c# dart f# glsl groovy java javascript typescript kotlin php protobuf rust scala "
    "solidity swift verilog zig",
    "//(?!go:)": "go",
    r"--(?!\[)": "sql lua haskell elm",
    ";": "lisp clojure",
    r"%(?!\{)": "matlab erlang",
    "!": "fortran",
}
_PAIRS = {
    ("/*", "*/"): "c c++ c# css dart glsl go groovy java javascript typescript kotlin nix php "
    "protobuf rust scala solidity sql swift verilog",
    ("<!--", "-->"): "html xml",
    ("(*", "*)"): "f# ocaml pascal",
    ("{-", "-}"): "elm haskell",
}
_BEFORE = re.compile(r"\ufeff?(?:#!.*\n|<\?(?:php|xml)[^\n]*\n)?", re.I)
_NEVER = r"(?!)"
_END = r"(?<!\\)(?:\n|\Z)"  # a backslash carries a comment on into the next line
_WORD = re.compile(r"[^\W\d_]+")


class HeadComment(NamedTuple):
    """A block of comment: where it stands with the blank lines behind it, and its words alone."""

    start: int
    end: int
    said: str


def head_comments(text: str, language: str) -> Iterator[HeadComment]:
    """The blocks of comment before the first line of code, in order; none in other languages.

    A block is one bracketed comment on lines of its own, or lines of comment in a row; a line of
    comment without a word parts two. Neither marks nor digits are among its words: the same licence
    says the same in every language and every year. A first line that names a program stays.
    """
    if (syntax := _SYNTAX.get(language)) is None:
        return
    place = _BEFORE.match(text).end()  # pyright: ignore[reportOptionalMemberAccess]
    while (found := syntax.match(text, place)) is not None:
        place = found.end()
        if found["said"]:
            yield HeadComment(found.start(), place, " ".join(_WORD.findall(found["said"])))


def _block(mark: str, pair: tuple[str, str] | None) -> re.Pattern[str]:
    line = rf"[^\S\n]*(?:{mark})[^\w\n]*\w[^\n]*{_END}"
    blank = rf"[^\S\n]*(?:(?:{mark})[^\w\n]*)?(?<!\\)\n"
    bracketed = _NEVER
    if pair is not None:  # brackets that stand inside each other are left to parsers
        opens, closes = map(re.escape, pair)
        bracketed = rf"[^\S\n]*{opens}(?:(?!{opens})[\s\S])*?{closes}[^\S\n]*(?:\n|\Z)"
    return re.compile(rf"(?P<said>(?:{line})+|{bracketed})(?:{blank})*|(?:{blank})+")


def _syntaxes() -> Iterator[tuple[str, re.Pattern[str]]]:
    marks = {name: mark for mark, names in _MARKS.items() for name in names.split()}
    pairs = {name: pair for pair, names in _PAIRS.items() for name in names.split()}
    for name in marks.keys() | pairs.keys():
        yield name, _block(marks.get(name, _NEVER), pairs.get(name))


_SYNTAX = dict(_syntaxes())
