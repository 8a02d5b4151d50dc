"""Names in place of what identifies a person, in fields and in the names of files."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, final

from blake3 import blake3

from evergrow.images.picture import Picture

IDENTIFYING = ("patient", "study", "site")  # replaced before anything is written
_CONTEXT = "evergrow 2026-11 pseudonyms of pictures"
_READ = 1 << 20  # bytes of each file
_LONG = 4  # letters and digits of a value that is hidden also inside a longer word
_SUFFIXES = (".dcm", ".dicom")  # another one may be a part of a number
_WORD = re.compile(r"[A-Za-z0-9]+")


def secret_of(paths: Sequence[Path]) -> bytes:
    """A key that only who has the files can make: a hash of their beginnings, in its own context.

    Their checksums will not do: these stand in the data's manifest.
    """
    digest = blake3(derive_key_context=_CONTEXT)
    for path in paths:
        with path.open("rb") as file:
            digest.update(file.read(_READ))
    return digest.digest()


def identifying(picture: Picture) -> list[str]:
    """Every value that says whose the picture is, the fields' first."""
    values = (getattr(picture, name) for name in IDENTIFYING)
    return [*(value for value in values if value is not None), *picture.names]


@final
class Pseudonyms:
    """Names in place of identifying values, the same for the same value within one data set.

    Keyed by the data's own files: who does not have them cannot try values out.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = blake3(secret, derive_key_context=_CONTEXT).digest()
        self._known: dict[str, str] = {}  # single words, as all files may spell them

    def name(self, value: str) -> str:
        """12 hex digits in place of ``value``."""
        return blake3(value.encode(), key=self._key).hexdigest(6)

    def hide(self, picture: Picture) -> Picture:
        """The picture with pseudonyms, also where its path or key spells an identifying value.

        Of a date only the year is left when the picture belongs to somebody.
        """
        spelt = identifying(picture)
        changes: dict[str, Any] = {
            name: self.name(value)
            for name in IDENTIFYING
            if (value := getattr(picture, name)) is not None
        }
        date = picture.date[:4] if picture.date and picture.patient else picture.date
        path, key = self.hide_in(picture.path, spelt), self.hide_in(picture.key, spelt)
        told = {"plain": picture.key, "names": (), "place": picture.drawn}
        return replace(picture, path=path, key=key, date=date, **told, **changes)

    def spells(self, text: str, picture: Picture, exactly: bool) -> bool:
        """Whether ``text`` holds an identifying value; ``exactly``: or is a short patient's id."""
        long = [v for v in identifying(picture) if sum(map(len, _WORD.findall(v))) >= _LONG]
        short = {picture.patient, *picture.names[:1]} if exactly else set()
        return text in short or self.hide_in(text, long) != text

    def hide_in(self, text: str, values: Iterable[str]) -> str:
        """``text`` with a pseudonym wherever it spells one of ``values``, the longest first.

        Case and punctuation do not matter; a value of fewer than four letters and digits must
        stand as a word of its own, or nothing would be left of a path.
        """
        names: list[str] = []
        patterns: list[str] = []
        for value in sorted(set(values), key=lambda v: (-len(v), v)):
            words = _WORD.findall(value)
            pattern = r"[^A-Za-z0-9]*".join(words)
            if not words:
                continue
            if sum(map(len, words)) < _LONG:
                pattern = rf"(?<![A-Za-z0-9]){pattern}(?![A-Za-z0-9])"
            elif len(words) == 1:
                self._known[words[0].casefold()] = self.name(value)
            names.append(self.name(value))
            patterns.append(f"({pattern})")
        if not patterns:
            return text
        found = re.compile("|".join(patterns), re.IGNORECASE)
        return found.sub(lambda match: names[int(match.lastindex or 1) - 1], text)

    def hide_known(self, text: str) -> str:
        """``text`` with a pseudonym for each word that identified any picture hidden before."""
        return _WORD.sub(lambda word: self._known.get(word[0].casefold(), word[0]), text)

    def of_file(self, path: str) -> str:
        """A name for a file of which nobody can say whose it is."""
        suffix = PurePosixPath(path).suffix.lower()
        return f"{self.name(path)}{suffix if suffix in _SUFFIXES else ''}"
