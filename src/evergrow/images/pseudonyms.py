"""Names in place of what identifies a person, in fields and in the names of files."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, final

from blake3 import blake3

from evergrow.images.picture import IDENTIFYING, Picture, place_of_owner
from evergrow.images.spelling import Folded, is_long, joined, pattern_of, spellings, spelt_known

_CONTEXT = "evergrow 2026-11 pseudonyms of pictures"
_READ = 1 << 20  # bytes of each file
_SUFFIXES = (".dcm", ".dicom")  # another one may be a part of a number


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
        self._known: dict[str, str] = {}  # letters of a value -> its pseudonym, for all files

    def name(self, value: str) -> str:
        """12 hex digits in place of ``value``, however its case, blanks and normal form are."""
        return self.of_place(place_of_owner(value))

    def of_place(self, place: bytes) -> str:
        """The same for whom only ``place_of_owner`` is known."""
        return blake3(place, key=self._key).hexdigest(6)

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
        # Of nobody's picture the place follows from its pixels, which are yet to be cut to size.
        place = b"" if picture.patient is None else picture.drawn
        told = {"plain": key, "names": (), "place": place}
        return replace(picture, path=path, key=key, date=date, **told, **changes)

    def spells(self, text: str, picture: Picture, exactly: bool) -> bool:
        """Whether ``text`` holds an identifying value; ``exactly``: or is a short patient's id."""
        long = [value for value in identifying(picture) if is_long(value)]
        short = {picture.patient, *picture.names[:1]} if exactly else set()
        return text in short or self.hide_in(text, long) != text

    def know(self, values: Iterable[str]) -> None:
        """Take values for identifying wherever they stand; a short one could be any word."""
        for value in values:
            if joined(value) not in self._known and is_long(value):
                name = self.name(value)
                self._known |= {joined(spelling): name for spelling in spellings(value)}

    def knows(self, text: str) -> bool:
        """Whether a text is, as a whole, one of the values that identify somebody."""
        return joined(text) in self._known

    def hide_in(self, text: str, values: Iterable[str]) -> str:
        """``text`` with a pseudonym wherever it spells one of ``values``, the longest first."""
        names: list[str] = []
        patterns: list[str] = []
        chosen = sorted(set(values), key=lambda v: (-len(v), v))
        self.know(chosen)
        folded = Folded(text)
        letters = folded.all_letters()
        for value in chosen:
            for spelling in spellings(value):
                own = joined(spelling)
                if own and own in letters and (pattern := pattern_of(spelling)) is not None:
                    names.append(self.name(value))
                    patterns.append(f"({pattern})")
        if not patterns:
            return text
        found = re.finditer("|".join(patterns), folded.letters)
        return _replaced(
            text, folded, ((m.start(), m.end(), names[int(m.lastindex or 1) - 1]) for m in found)
        )

    def hide_known(self, text: str) -> str:
        """``text`` with a pseudonym for each value in it that identified anybody before."""
        folded = Folded(text)
        found = spelt_known(folded, self._known)
        return _replaced(text, folded, ((a, b, self._known[letters]) for a, b, letters in found))

    def of_file(self, path: str) -> str:
        """A name for a file of which nobody can say whose it is."""
        suffix = PurePosixPath(path).suffix.lower()
        name = blake3(path.encode(errors="surrogateescape"), key=self._key).hexdigest(6)
        return f"{name}{suffix if suffix in _SUFFIXES else ''}"


def _replaced(text: str, folded: Folded, found: Iterable[tuple[int, int, str]]) -> str:
    parts, last = [], 0
    for start, end, name in found:
        first, after = folded.span(start, end)
        parts += [text[last:first], name]
        last = after
    return "".join([*parts, text[last:]])
