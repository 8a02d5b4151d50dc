"""How a chunk of text without white space falls into words: the rules of spaCy's English."""

import re

_WORD = re.compile(r"\w+|[^\w\s]")


def split_chunk(chunk: str) -> list[str]:
    """The words of a chunk that holds no white space; together they are the chunk."""
    return _WORD.findall(chunk)
