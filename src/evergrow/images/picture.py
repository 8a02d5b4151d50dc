"""The one Picture: pixels that know their origin, whom they belong to and what they show."""

import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from blake3 import blake3

IDENTIFYING = ("patient", "study", "site")  # replaced by pseudonyms before anything is written


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels [H, W] or [H, W, 3], uint8 (255 is white) or uint16 (65,535 is white).

    path      the file (relative to the recipe's folder when inside it)
    key       the place in the source: the path, with ``#`` and a row in a file of many
    patient, study, site, laterality, label, split, date   as the data says, None when it does not
    reading   how the pixels were made from the file (bit depth, look-up tables, inversion)
    """

    pixels: np.ndarray
    source: str
    path: str
    key: str
    patient: str | None = None
    study: str | None = None
    site: str | None = None
    laterality: str | None = None
    label: str | None = None
    split: str | None = None
    date: str | None = None
    reading: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """32 hex digits of source and key, as documents have them."""
        return blake3(f"{self.source}\0{self.key}".encode()).hexdigest(16)

    @property
    def content_hash(self) -> str:
        """The blake3 hex digest of type, shape and pixels."""
        pixels = np.ascontiguousarray(self.pixels)
        return blake3(f"{pixels.dtype.str}{pixels.shape}".encode() + pixels.tobytes()).hexdigest()

    @property
    def owner(self) -> str:
        """Who must stay on one side of a split: the patient, or the picture when none is known."""
        return self.content_hash if self.patient is None else self.patient

    def with_pixels(self, pixels: np.ndarray) -> "Picture":
        """This picture with other pixels."""
        return replace(self, pixels=pixels)


class Pseudonyms:
    """Names in place of identifying values, the same for the same value within one data set.

    Keyed by a hash of the data's own files: who does not have the data cannot try values out.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = blake3(b"evergrow pseudonyms" + secret).digest()

    def name(self, value: str) -> str:
        """12 hex digits in place of ``value``."""
        return blake3(value.encode(), key=self._key).hexdigest(6)

    def hide(self, picture: Picture) -> Picture:
        """The picture with pseudonyms, also where its path or key spells an identifying value.

        Of a date only the year is left when the picture belongs to somebody.
        """
        path, key = picture.path, picture.key
        changes: dict[str, Any] = {}
        for name in IDENTIFYING:
            value = getattr(picture, name)
            if value is not None:
                changes[name] = self.name(value)
                path, key = (_without(value, changes[name], text) for text in (path, key))
        date = picture.date[:4] if picture.date and picture.patient else picture.date
        return replace(picture, path=path, key=key, date=date, **changes)


def _without(value: str, pseudonym: str, text: str) -> str:
    """``text`` with the pseudonym wherever ``value`` stands as a word of its own."""
    return re.sub(rf"(?<![A-Za-z0-9]){re.escape(value)}(?![A-Za-z0-9])", pseudonym, text)
