"""A vocabulary exchanged for another tokenizer's: what each new piece's row is made of.

A piece that both have keeps its row; a new one gets the mean of the rows of the old pieces that
spell it (as in Hewitt 2021, and the start of FOCUS 2305.14481); a special token that the new
tokenizer calls otherwise is found by its role. Pieces are compared as what they stand for, so that
`Ġthe`, `▁the` and `the` (beside `##the`) are one.
"""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from tokenizers import Tokenizer
from torch import Tensor

from evergrow.errors import InputError

Alphabet = Literal["bytes", "spaces", "words"]
ROLES = ("bos", "eos", "unk", "sep", "pad", "cls", "mask")
_ROWS = 4096  # means made at once


@dataclass(frozen=True, eq=False)
class Spelling:
    """``parts`` are, for each new id, the old ids whose mean its row is; none: the mean of all.

    kept      new id -> old id of the pieces that both have
    special   old id -> new id of special tokens
    """

    before: int
    parts: tuple[tuple[int, ...], ...]
    kept: Mapping[int, int]
    special: Mapping[int, int]

    @property
    def after(self) -> int:
        """The new number of rows."""
        return len(self.parts)

    @property
    def old_ids(self) -> Tensor:
        """Old ids of the pieces that both have, in the order of the new."""
        return torch.tensor(list(self.kept.values()))

    @property
    def new_ids(self) -> Tensor:
        """Their new ids, then those of all other pieces."""
        return torch.tensor([*self.kept, *(i for i in range(self.after) if i not in self.kept)])

    @cached_property
    def renamed(self) -> dict[int, int]:
        """Old id -> new id of all that has one."""
        return {old: new for new, old in self.kept.items()} | dict(self.special)

    @property
    def num_spelt(self) -> int:
        """How many new pieces are means of old ones that spell them."""
        return sum(bool(parts) for parts in self.parts) - len(self.kept)

    @property
    def num_unspelt(self) -> int:
        """How many are the mean of all rows: nothing spells them."""
        return sum(not parts for parts in self.parts)

    @property
    def digest(self) -> str:
        """Of all rows' parts."""
        return hashlib.blake2b(repr(self.parts).encode(), digest_size=16).hexdigest()

    def by_new_ids(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Settings of a model, whose special tokens have new ids."""
        return {k: self._new(v) if k.endswith("_token_id") else v for k, v in settings.items()}

    def _new(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._new(one) for one in value]
        return self.renamed.get(value) if isinstance(value, int) else value

    def applied(self, tensor: Tensor, place: int) -> Tensor:
        """The tensor with new rows along ``place``; kept ones to the bit, means made in float32."""
        rows = tensor.movedim(place, 0)
        first = torch.tensor([parts[0] if parts else 0 for parts in self.parts])
        grown = rows.index_select(0, first)
        mean_of_all = rows.float().mean(0).to(rows.dtype)
        several = [i for i, parts in enumerate(self.parts) if len(parts) > 1]
        for start in range(0, len(several), _ROWS):
            some = several[start : start + _ROWS]
            flat = torch.tensor([old for i in some for old in self.parts[i]])
            counts = torch.tensor([len(self.parts[i]) for i in some])
            owner = torch.repeat_interleave(torch.arange(len(some)), counts)
            sums = torch.zeros(len(some), *rows.shape[1:])
            sums.index_add_(0, owner, rows.index_select(0, flat).float())
            means = sums / counts.view(-1, *[1] * (rows.ndim - 1))
            grown[torch.tensor(some)] = means.to(rows.dtype)
        if lost := [i for i, parts in enumerate(self.parts) if not parts]:
            grown[torch.tensor(lost)] = mean_of_all
        return grown.movedim(0, place)


@dataclass(frozen=True)
class Pieces:
    """A tokenizer as its pieces: ``special`` are token -> id, ``roles`` role -> token."""

    folder: Path
    tokenizer: Tokenizer
    alphabet: Alphabet
    special: Mapping[str, int]
    roles: Mapping[str, str]

    @cached_property
    def by_text(self) -> dict[bytes, int]:
        """What each piece that is not special stands for -> its id; the first of equals."""
        found: dict[bytes, int] = {}
        for piece, number in sorted(self.tokenizer.get_vocab().items(), key=lambda item: item[1]):
            if piece not in self.special:
                found.setdefault(_text_of(piece, self.alphabet), number)
        return found

    @property
    def num_ids(self) -> int:
        """One more than the largest id."""
        return max(self.tokenizer.get_vocab().values()) + 1

    def spell(self, text: bytes) -> tuple[int, ...]:
        """The ids of the pieces that ``text`` falls into, () when some of it is in none."""
        if self.alphabet == "words":
            return self._spell_word(text)
        written = _written(text, self.alphabet)
        if written is None:
            single = [self.by_text.get(bytes([byte])) for byte in text]
            return tuple(i for i in single if i is not None) if None not in single else ()
        ids = [token.id for token in self.tokenizer.model.tokenize(written)]
        return () if self.special.get(self.roles.get("unk", "")) in ids else tuple(ids)

    def _spell_word(self, text: bytes) -> tuple[int, ...]:
        """WordPiece's longest pieces first, from inside a word where no space goes before."""
        ids, start = [], 0
        while start < len(text):
            ends = range(len(text), start, -1)
            end = next((e for e in ends if text[start:e] in self.by_text), None)
            if end is None:
                return ()
            ids.append(self.by_text[text[start:end]])
            start = end
        return tuple(ids)


def read_pieces(folder: Path) -> Pieces:
    """The tokenizer in ``folder``; raises InputError where nobody knows what its pieces spell."""
    path = folder / "tokenizer.json"
    if not path.is_file():
        raise InputError(f"{folder}: holds no tokenizer.json; save the tokenizer in its fast form")
    text = path.read_text(encoding="utf-8")
    try:
        tokenizer, content = Tokenizer.from_str(text), json.loads(text)
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"{path}: no tokenizer ({error}); save it again") from error
    special = {t["content"]: t["id"] for t in content["added_tokens"] if t["special"]}
    roles = {}
    for name in ("special_tokens_map.json", "tokenizer_config.json"):
        if (folder / name).is_file():
            said = json.loads((folder / name).read_text(encoding="utf-8"))
            roles |= {
                role: _content(said[f"{role}_token"]) for role in ROLES if said.get(f"{role}_token")
            }
    vocabulary = tokenizer.get_vocab()
    special |= {token: vocabulary[token] for token in roles.values() if token in vocabulary}
    return Pieces(folder, tokenizer, _alphabet_of(path, content), special, roles)


def _content(token: Any) -> str:
    return token["content"] if isinstance(token, dict) else token


def _alphabet_of(path: Path, content: Mapping[str, Any]) -> Alphabet:
    if content["model"]["type"] == "WordPiece":
        return "words"
    steps = json.dumps([content.get(k) for k in ("normalizer", "pre_tokenizer", "decoder")])
    if '"ByteLevel"' in steps:
        return "bytes"
    if "\\u2581" in steps:
        return "spaces"
    raise InputError(
        f"{path}: its pieces are neither of bytes (GPT-2's) nor marked by \u2581 (SentencePiece's) "
        "or by ## (BERT's), so that nobody knows what they spell; choose another tokenizer"
    )


def _byte_letters() -> Iterator[tuple[str, int]]:
    """GPT-2's letters for bytes: printable ones are themselves, others follow from 256 on."""
    others = 256
    for byte in range(256):
        if 33 <= byte <= 126 or 161 <= byte <= 172 or 174 <= byte <= 255:
            yield chr(byte), byte
        else:
            yield chr(others), byte
            others += 1


_BYTE_OF = dict(_byte_letters())
_LETTER_OF = {byte: letter for letter, byte in _BYTE_OF.items()}


def _text_of(piece: str, alphabet: Alphabet) -> bytes:
    """What a piece stands for, a space before a word included."""
    if alphabet == "bytes" and all(letter in _BYTE_OF for letter in piece):
        return bytes(_BYTE_OF[letter] for letter in piece)
    if alphabet == "words":
        return piece[2:].encode() if piece.startswith("##") else f" {piece}".encode()
    if alphabet == "spaces" and len(piece) == 6 and piece.startswith("<0x"):
        return bytes([int(piece[3:5], 16)])
    return piece.replace("\u2581", " ").encode() if alphabet == "spaces" else piece.encode()


def _written(text: bytes, alphabet: Alphabet) -> str | None:
    """``text`` in the letters of an alphabet; None for bytes that it has no letters for."""
    if alphabet == "bytes":
        return "".join(_LETTER_OF[byte] for byte in text)
    try:
        return text.decode().replace(" ", "\u2581")
    except UnicodeDecodeError:
        return None


def spelling(source: Path, folder: Path, num_rows: int) -> Spelling:
    """How the model in ``source``, with ``num_rows`` rows, reads by the tokenizer in ``folder``.

    Raises InputError when the two share no piece, or when a special token of the source's has no
    counterpart, by itself or by its role.
    """
    old, new = read_pieces(source), read_pieces(folder)
    special = _special(old, new)
    parts: list[tuple[int, ...]] = [()] * new.num_ids
    kept = {new_id: old_id for old_id, new_id in special.items() if old_id < num_rows}
    for text, number in new.by_text.items():
        same = old.by_text.get(text)
        if same is not None and same < num_rows:
            kept[number] = same
        else:
            parts[number] = tuple(i for i in old.spell(text) if i < num_rows)
    if len(kept) == len(special):
        raise InputError(
            f"{folder}: its tokenizer shares no piece with that of {source}; nothing would be left "
            "of what the model knows, so train a new one, or give a tokenizer made from the old"
        )
    for number, same in kept.items():
        parts[number] = (same,)
    return Spelling(num_rows, tuple(parts), dict(sorted(kept.items())), special)


def _special(old: Pieces, new: Pieces) -> dict[int, int]:
    """Old id -> new id of every special token of the source's."""
    roles = {token: role for role, token in old.roles.items()}
    found = {}
    for token, number in old.special.items():
        same = new.special.get(token)
        if same is None:
            same = new.special.get(new.roles.get(roles.get(token, ""), ""))
        if same is None:
            raise InputError(
                f"{new.folder}: its tokenizer has no {token!r}, a special token of the model's, "
                "nor one in its role; add it to the tokenizer"
            )
        found[number] = same
    return found


def respelt(config: Mapping[str, Any], found: Spelling) -> dict[str, Any]:
    """config.json with the new number of rows, and special tokens by their new ids."""
    return {**found.by_new_ids(config), "vocab_size": found.after}
