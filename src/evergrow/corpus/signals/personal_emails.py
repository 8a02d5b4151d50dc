"""E-mail addresses, in every script; not what only looks like one in code and commands."""

import re
from collections.abc import Iterator

from evergrow.corpus.file_names import SUFFIXES

Span = tuple[int, int]
# Scripts without spaces are no border of an address: their letters may touch it.
UNSPACED = r"\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3000-\u30ff\u3400-\u9fff\uac00-\ud7af"
_LETTER = rf"[^\W_{UNSPACED}]"  # or digit, of a script with spaces
_NAME = rf"(?:[^\W{UNSPACED}]|[.%+-])"
_LABEL = rf"{_LETTER}(?:{_LETTER}|-){{0,62}}"
_DOMAIN = re.compile(
    rf"@(?:(?:{_LABEL}\.){{1,8}}(?:xn--[a-z0-9-]{{2,59}}|[A-Za-z]{{2,24}}"
    rf"|[^\W\d_A-Za-z{UNSPACED}]{{2,24}})(?![A-Za-z0-9_-]|\()"
    rf"|[{UNSPACED}]{{1,30}}\.[{UNSPACED}]{{2,10}})"  # wholly in a script without spaces
)
_LOCAL = re.compile(rf"(?<!{_NAME})[^\W{UNSPACED}]{_NAME}{{0,63}}\Z")
_UNSPACED_LOCAL = re.compile(rf"(?<![\w{UNSPACED}])[{UNSPACED}]{{1,12}}\Z")
_COPIED_FROM = re.compile(r":(?![0-9]{1,5}\b)[\w.~/-]*/")  # git@host:owner/repository
_IN_ADDRESS = re.compile(r"://[^\s/@]{0,64}\Z")  # ssh://git@host
COUNTRIES = frozenset(
    ["ad", "cc", "cu", "mk", "ml", "mm", "pl", "pm", "ps", "py", "rs", "sh", "sv", "tf"]
)  # and suffixes of code
_COUNTRIES = "ad cc cu mk ml mm pl pm ps py rs sh sv tf"  # that are suffixes of code, too
_FILES = "png jpg jpeg gif svg webp ico pdf txt log csv tsv gz tar tgz whl exe dll lock map jar"
NO_DOMAINS = (SUFFIXES.keys() | set(_FILES.split())) - set(_COUNTRIES.split())


def emails(text: str) -> Iterator[Span]:
    """Addresses with their borders; a name that ends like a file, ``icon@2x.png``, is none."""
    for domain in _DOMAIN.finditer(text):
        first = max(0, domain.start() - 65)
        local = _LOCAL.search(text, first, domain.start())
        local = local or _UNSPACED_LOCAL.search(text, first, domain.start())
        if (
            local is not None
            and domain[0].rpartition(".")[2].lower() not in NO_DOMAINS
            and not _COPIED_FROM.match(text, domain.end())
            and not _IN_ADDRESS.search(text, max(0, local.start() - 70), local.end())
        ):
            yield local.start(), domain.end()
