"""What the name of a file says of the programming language in it."""

import re

_SUFFIXES = """
ada adb ads | assembly asm s | awk awk | batch bat cmd | c c h | c# cs
c++ cc cpp cxx c++ hh hpp hxx h++ cu cuh inl ipp tcc tpp cppm ixx | clojure clj | cmake cmake
coffeescript coffee | crystal cr | css css scss sass less | dart dart | diff diff patch
elixir ex exs | elm elm | erlang erl hrl | f# fs fsx | fortran f f77 f90 f95 f03 f08 for fpp
glsl glsl vert frag | go go | graphql graphql gql | groovy groovy gradle | haskell hs lhs
html html htm xhtml | java java | javascript js jsx mjs cjs | json json ipynb geojson | julia jl
kotlin kt kts | lisp lisp el scm rkt | lua lua | makefile mk mak | matlab m | nim nim | nix nix
objective-c mm | ocaml ml mli | pascal pas | perl pl pm | php php phtml | powershell ps1 psm1
protobuf proto | python py pyi pyx pxd | r r | ruby rb rake gemspec | rust rs | scala scala sbt
shell sh bash zsh ksh | solidity sol | sql sql | starlark bzl bazel | svelte svelte | swift swift
tcl tcl | terraform tf hcl | thrift thrift | toml toml ini cfg conf | typescript ts tsx mts cts
verilog v sv vhd vhdl | vim vim | visual-basic vb vbs | vue vue | xml xml xsd xsl svg plist
yaml yaml yml | zig zig
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
PACKINGS = (".gz", ".zst", ".bz2", ".xz")
_WEB = re.compile(r"[\w+.-]*:?//|[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}(?::\d+)?/")  # a.org/x, too


def _by_suffix() -> dict[str, str]:
    entries = [part.split() for line in _SUFFIXES.splitlines() for part in line.split("|") if part]
    return {suffix: name for name, *suffixes in filter(None, entries) for suffix in suffixes}


SUFFIXES = _by_suffix()
_FIRST_SUFFIX = {name: suffix for suffix, name in reversed(SUFFIXES.items())}


def language_of(file_name: str) -> str:
    """The language of a file by its name, whatever packed it; empty for prose and the unknown.

    Of ``config.h.in``, a template, it is that of what is made of it.
    """
    name = without_packing(file_name.lower()).rpartition("/")[2].removesuffix(".in")
    return _NAMES.get(name) or (SUFFIXES.get(name.rpartition(".")[2], "") if "." in name else "")


def without_packing(name: str) -> str:
    """``a.py`` of ``a.py.gz``."""
    packing = next((suffix for suffix in PACKINGS if name.endswith(suffix)), "")
    return name.removesuffix(packing)


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
