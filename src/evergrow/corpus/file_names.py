"""What the name of a file says of the programming language in it."""

import re

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
_SPELLINGS = {"cpp": "c++", "csharp": "c#", "c-sharp": "c#", "fsharp": "f#", "f-sharp": "f#"}
_WEB = re.compile(r"[\w+.-]*:?//|[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}(?::\d+)?/")  # a.org/x, too


def _by_suffix() -> dict[str, str]:
    entries = [part.split() for line in _SUFFIXES.splitlines() for part in line.split("|") if part]
    return {suffix: name for name, *suffixes in filter(None, entries) for suffix in suffixes}


SUFFIXES = _by_suffix()
_FIRST_SUFFIX = {name: suffix for suffix, name in reversed(SUFFIXES.items())}


def language_of(file_name: str) -> str:
    """The language of a file by its name, whatever packed it; empty for prose and the unknown."""
    name = file_name.lower().removesuffix(".gz").removesuffix(".zst").rpartition("/")[2]
    return _NAMES.get(name) or (SUFFIXES.get(name.rpartition(".")[2], "") if "." in name else "")


def any_file_of(language: object) -> str | None:
    """``*.py`` for Python, which stands for a file whose name is not told.

    None for what is no programming language: the same fields of other data name English.
    """
    spelt = str(language).strip().lower()
    suffix = _FIRST_SUFFIX.get(_SPELLINGS.get(spelt, spelt))
    return f"*.{suffix}" if suffix else None


def is_of_the_web(name: str) -> bool:
    """Whether a name is an address, with a scheme or without: its suffix tells nothing."""
    return _WEB.match(name) is not None
