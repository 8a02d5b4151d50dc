"""What a vocabulary says of each token: the bytes it stands for, and where words begin.

Axes: V token ids, B windows, T tokens.
"""

import json
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from transformers import PreTrainedTokenizerFast

from evergrow.errors import InputError

# Kinds of characters, as GPT-2's splitting has them; a single space belongs to what follows.
_SPACE, _LETTER, _NUMBER, _OTHER, _ONE_SPACE = range(5)
_UNKNOWN = "\ufffd"  # part of a character: nearly always of a letter
_WORD_BEGINS = "▁"  # SentencePiece's sign for the space before a word


@dataclass(frozen=True)
class Pieces:
    """One entry for each token id of a tokenizer.

    num_bytes_V  bytes of text, int64; 0 for special tokens
    special_V    bool; also true for an id without a token
    first_V      kind of the first character, int8; 0 where the token begins a word by itself
    last_V       kind of the last character, int8; 0 where no word goes on after the token
    """

    num_bytes_V: np.ndarray
    special_V: np.ndarray
    first_V: np.ndarray
    last_V: np.ndarray

    def word_starts(self, tokens_BT: np.ndarray) -> np.ndarray:
        """Which tokens begin a word, bool [B, T]; the first of a window always does.

        A token goes on with the word before it when both are of one kind (letters, digits, signs)
        and no space or special token is between them. Pieces of a character count as letters.
        """
        first_BT, before_BT = self.first_V[tokens_BT][:, 1:], self.last_V[tokens_BT][:, :-1]
        goes_on_BT = (first_BT == before_BT) | (before_BT == _ONE_SPACE)
        starts_BT = np.ones(tokens_BT.shape, bool)
        starts_BT[:, 1:] = (first_BT == _SPACE) | ~goes_on_BT
        return starts_BT


class _Piece(NamedTuple):
    """The text of a token, and whether its own sign says that it goes on (None: its kind says)."""

    data: bytes
    goes_on: bool | None


@lru_cache(maxsize=4)
def pieces_of(tokenizer: PreTrainedTokenizerFast) -> Pieces:
    """Read the vocabulary of a byte-level, WordPiece or SentencePiece tokenizer.

    SentencePiece puts a space before a document that has none, which counts as a byte; WordPiece
    keeps no spaces, and what its normaliser changes is counted as changed. Raises InputError for
    a vocabulary of another kind.
    """
    vocabulary = tokenizer.get_vocab()
    size = max(vocabulary.values()) + 1
    added = tokenizer.added_tokens_decoder
    special = {int(i) for i in tokenizer.all_special_ids} | {i for i in added if added[i].special}
    read = _reader(tokenizer, vocabulary)
    num_bytes_V, special_V = np.zeros(size, np.int64), np.ones(size, bool)
    first_V, last_V = np.zeros(size, np.int8), np.zeros(size, np.int8)
    for text, i in vocabulary.items():
        if i in special:
            continue
        piece = _Piece(added[i].content.encode(), None) if i in added else read(text)
        special_V[i] = False
        num_bytes_V[i] = len(piece.data)
        first_V[i], last_V[i] = _ends(piece)
    return Pieces(num_bytes_V, special_V, first_V, last_V)


def _reader(
    tokenizer: PreTrainedTokenizerFast, vocabulary: dict[str, int]
) -> Callable[[str], _Piece]:
    """How this tokenizer writes a token's text in its vocabulary."""
    rules: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    model = rules["model"]
    if "ByteLevel" in _types(rules["pre_tokenizer"]) | _types(rules["decoder"]):
        byte_of = {character: byte for byte, character in enumerate(_byte_characters())}
        return lambda text: _Piece(bytes(byte_of[c] for c in text), None)
    if model["type"] == "WordPiece":
        sign = str(model["continuing_subword_prefix"])
        return lambda text: _Piece(text.removeprefix(sign).encode(), text.startswith(sign))
    if any(text.startswith(_WORD_BEGINS) for text in vocabulary):
        return _sentence_piece
    raise InputError(
        f"tokenizer: a {model['type']} vocabulary without byte-level, WordPiece or SentencePiece "
        "signs does not say which bytes its tokens stand for; use another tokenizer to train or "
        "measure a masked model"
    )


def _types(part: Any) -> set[str]:
    """The types of a pre-tokenizer or decoder, those inside a sequence included."""
    if part is None:
        return set()
    inner = [*part.get("pretokenizers", []), *part.get("decoders", [])]
    return {part["type"]}.union(*map(_types, inner))


def _byte_characters() -> list[str]:
    """The character that byte-level vocabularies write for each byte (GPT-2's table)."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = (byte for byte in range(256) if byte not in printable)
    moved = {byte: chr(256 + n) for n, byte in enumerate(others)}
    return [moved.get(byte, chr(byte)) for byte in range(256)]


def _sentence_piece(text: str) -> _Piece:
    if match := re.fullmatch(r"<0x([0-9A-F]{2})>", text):
        return _Piece(bytes([int(match[1], 16)]), None)
    return _Piece(text.replace(_WORD_BEGINS, " ").encode(), None)


def _ends(piece: _Piece) -> tuple[int, int]:
    """The kinds of the first and the last character."""
    if piece.goes_on is not None:
        return (_LETTER if piece.goes_on else _SPACE), _LETTER
    text = piece.data.decode(errors="replace")
    if text == " ":
        return _SPACE, _ONE_SPACE
    return (_kind(text[0]), _kind(text[-1])) if text else (_SPACE, _SPACE)


def _kind(character: str) -> int:
    if character.isspace():
        return _SPACE
    kinds = {"L": _LETTER, "N": _NUMBER}
    return (
        _LETTER if character == _UNKNOWN else kinds.get(unicodedata.category(character)[0], _OTHER)
    )
