"""What code rules look at: lines, characters, comments, templates, visible text and data.

After RedPajama v1 and StarCoder (Li et al. 2023, section 3), encoded data after StarCoder 2
(Lozhkov et al. 2024, section 3.1). Every pattern takes time linear in the text: what is never
closed ends with the text.
"""

import math
import re
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.characters import (
    BASE64,
    LETTER,
    LETTER_OR_DIGIT,
    kinds_of,
    long_runs,
    num_with,
)
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.signals.programming import programming_language
from evergrow.corpus.unspaced import SPLITTER
from evergrow.corpus.words import Words

TEMPLATE_WITHIN = 100  # characters
_GENERATED = re.compile(
    r"auto-?generated|automatically generated|generated automatically|this file is generated", re.I
)
_MIN_BASE64 = 64  # characters in a row
_BASE64 = re.compile(r"[A-Za-z0-9+/=\n]+")
_BYTES = tuple(  # eight and more bytes or escapes; each pattern begins with what is rare
    re.compile(pattern)
    for pattern in (
        r"0x[0-9a-fA-F]{2}[,\s]+(?:0x[0-9a-fA-F]{2}[,\s]+){7,4096}",
        r"[0-9a-fA-F](?<!\w.)[0-9a-fA-F][,\s]+(?:[0-9a-fA-F]{2}[,\s]+){7,4096}",
        r"\\x[0-9a-fA-F]{2}(?:\\x[0-9a-fA-F]{2}){7,4096}",
        r"\\u[0-9a-fA-F]{4}(?:\\u[0-9a-fA-F]{4}){7,4096}",
    )
)
_DOCSTRING = r"""(?P<comment>^[ \t]*[rRuU]?(?:\"{3}[\s\S]*?(?:\"{3}|\Z)|'{3}[\s\S]*?(?:'{3}|\Z))"""
_TRIPLE = r"""\"{3}[\s\S]*?(?:\"{3}|\Z)|'{3}[\s\S]*?(?:'{3}|\Z)"""
_STRING = r"""\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?"""
_HASH = re.compile(rf"{_DOCSTRING}|#[^\n]*)|{_TRIPLE}|{_STRING}", re.M)
_SLASH = re.compile(rf"(?P<comment>//[^\n]*|/\*[\s\S]*?(?:\*/|\Z))|{_STRING}|`(?:\\.|[^`\\])*`?")
_COMMENTS = {"python": _HASH, "java": _SLASH, "javascript": _SLASH}  # those that StarCoder judges
_INVISIBLE = re.compile(
    r"<!--[\s\S]*?(?:-->|\Z)|<(script|style)\b[\s\S]*?(?:</\1\s*>|\Z)|</?[A-Za-z!?][^>]*(?:>|\Z)",
    re.I,
)
_DATA = ("json", "yaml")


def code(document: Document, words: Words) -> tuple[float, ...]:
    """The values of CODE's fields; NaN where a measure does not belong to the language."""
    text, language = document.text, programming_language(document)
    lengths = list(map(len, text.splitlines()))
    kinds_C = kinds_of(text)
    num_letters = num_with(kinds_C, LETTER)
    num_characters = len(text) or math.nan
    encoded = list(encoded_lengths(text, kinds_C))
    visible = len(_INVISIBLE.sub("", text)) if language == "html" else math.nan
    return (
        max(lengths, default=0),
        sum(lengths) / (len(lengths) or math.nan),
        num_with(kinds_C, LETTER_OR_DIGIT) / num_characters,
        num_letters / num_characters,
        num_letters / (len(words) or math.nan),
        comment_share(text, language),
        int("<?xml version=" in text[:TEMPLATE_WITHIN]) if language != "xml" else 0,
        int(any(map(_GENERATED.search, text[:10_000].splitlines()[:5]))),
        visible / num_characters,
        visible,
        max(encoded, default=0),
        sum(encoded) / num_characters,
        len(text) if language in _DATA else math.nan,
        num_letters / num_characters if language in _DATA else math.nan,
    )


def encoded_lengths(text: str, kinds_C: np.ndarray) -> Iterator[int]:
    """Characters of every stretch of base64, of bytes in hexadecimal and of Unicode escapes.

    Base64 begins with a line of 64 characters and goes on over line breaks.
    """
    end = 0
    for start, _ in long_runs(kinds_C, BASE64, _MIN_BASE64):
        if start >= end and (found := _BASE64.match(text, start)):
            end = found.end()
            yield len(found[0])
    for pattern in _BYTES:
        yield from (len(found[0]) for found in pattern.finditer(text))


def comment_share(text: str, language: str) -> float:
    """Share of the characters in comments and docstrings; NaN for a language without the rule."""
    pattern = _COMMENTS.get(language)
    if pattern is None or not text:
        return math.nan
    found = (match["comment"] for match in pattern.finditer(text))
    return sum(len(comment.lstrip()) for comment in found if comment) / len(text)


CODE = SignalGroup(
    name="code",
    version=3,
    fields={
        "longest_line": pa.int64(),  # characters
        "mean_line": pa.float64(),
        "letters_and_digits": pa.float64(),  # shares of the characters
        "letters": pa.float64(),
        "letters_per_word": pa.float64(),
        "comments": pa.float64(),  # share; Python, Java and JavaScript
        "xml_template": pa.int64(),
        "generated": pa.int64(),  # says so in its first five lines
        "visible": pa.float64(),  # share of an HTML page that a reader sees
        "visible_characters": pa.float64(),
        "longest_encoded": pa.int64(),  # characters
        "encoded": pa.float64(),  # share
        "data_characters": pa.float64(),  # JSON and YAML
        "data_letters": pa.float64(),  # share; JSON and YAML
    },
    compute=code,
    parameters=SPLITTER,
)
