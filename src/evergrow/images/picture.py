"""The one Picture: pixels that know their origin, whom they belong to and what they show."""

import unicodedata
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple, get_args

import numpy as np
from blake3 import blake3

Findings = dict[str, int]  # 1, 0, and -1 where it is uncertain; see ``findings``
IDENTIFYING = ("patient", "study", "site")  # replaced before anything is written
Part = Literal["train", "val", "held_out"]  # val is there where the data has it beside a test
PARTS: tuple[Part, ...] = get_args(Part)
# What a split may call its parts.
SPLITS: dict[str, Part] = {
    "train": "train",
    "val": "val",
    "validation": "val",
    "test": "held_out",
}


def same_id(value: str) -> str:
    """An id without what differs between exports of one person's: case, blanks, normal form."""
    folded = unicodedata.normalize("NFKC", value).casefold()
    return unicodedata.normalize("NFKC", "".join(folded.split()))


def place_of_owner(owner: str) -> bytes:
    """The blake3 digest of a patient's id, however it is spelt, or a picture's content hash."""
    return blake3(same_id(owner).encode()).digest()


@dataclass(frozen=True, slots=True)
class Reading:
    """How pixels were made from a file.

    bits      stored bits of a number (None: all of the pixels' own), ``range`` the least and the
              largest number
    white     what was taken for white of 16 bits, where that was said
    interest  by what DICOM's values of interest were taken: table, window or none
    intent    DICOM's PresentationIntentType; None where there is no such word
    inverted, masked, shifted, turned   whether black and white were turned round, bits outside the
              stored ones cut, those below them shifted out, the picture turned upright
    """

    bits: int | None = None
    range: tuple[int, int] | None = None
    white: int | None = None
    interest: str | None = None
    intent: str | None = None
    burned_in_annotation: str = "unknown"
    inverted: bool = False
    masked: bool = False
    shifted: bool = False
    turned: bool = False


class Shows(NamedTuple):
    """What the data says that a picture shows; another source may say less, or other things."""

    label: str | None = None
    findings: Findings | None = None

    def contradicts(self, other: "Shows") -> bool:
        """Whether one picture cannot show both."""
        if None not in (self.label, other.label) and self.label != other.label:
            return True
        own, others = self.findings or {}, other.findings or {}
        return any({own[name], others[name]} == {0, 1} for name in own.keys() & others.keys())

    def joined(self, other: "Shows") -> "Shows":
        """What both say, where they do not contradict each other: what is known wins.

        That is before what is uncertain, and that before what nobody speaks of.
        """
        label = other.label if self.label is None else self.label
        if self.findings is None or other.findings is None:
            return Shows(label, other.findings if self.findings is None else self.findings)
        known = {n: v for n, v in other.findings.items() if v in (0, 1)}
        sure = {n: v for n, v in self.findings.items() if v in (0, 1)}
        return Shows(label, {**other.findings, **self.findings, **known, **sure})


def disagree(one: Shows, other: Shows) -> bool:
    """Whether what one source says of two equal pictures cannot stand side by side.

    There a label and none are two answers; a finding that one of them does not mention is not.
    """
    has_findings = one.findings is not None and other.findings is not None
    return one.contradicts(other) or not (has_findings or one.label == other.label)


@dataclass(frozen=True, slots=True)
class Picture:
    """Pixels [H, W] or [H, W, 3], uint8 (255 is white) or uint16 (65,535 is white).

    path      the file (relative to the recipe's folder when inside it)
    key       the place in the source: the path, with ``#`` and a row in a file of many
    patient, study, site, laterality, view, label, split, date   as the data says, or None
    findings  what it shows of several things, where the source names some
    reading   how the pixels were made from the file
    names     what else of a header a file's name may spell (a person's name, numbers, days): to be
              hidden there, and never kept
    plain     what sentences on the screen call it: the key, and where something of it is hidden
              the number of its file
    place     a hash of the patient's own id, the same in every source: decides the side of a split,
              never written
    """

    pixels: np.ndarray
    source: str
    path: str
    key: str
    patient: str | None = None
    study: str | None = None
    site: str | None = None
    laterality: str | None = None
    view: str | None = None
    label: str | None = None
    split: str | None = None
    date: str | None = None
    findings: Findings | None = None
    reading: Reading = Reading()
    names: tuple[str, ...] = ()
    plain: str = ""
    place: bytes = b""

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
    def shows(self) -> "Shows":
        """What the data says that it shows."""
        return Shows(self.label, self.findings)

    @property
    def owner(self) -> str:
        """Who must stay on one side of a split: the patient, or the picture when none is known."""
        return self.content_hash if self.patient is None else self.patient

    @property
    def drawn(self) -> bytes:
        """32 bytes: where the owner stands among all when a part is held out."""
        return self.place or place_of_owner(self.owner)

    @property
    def shown(self) -> str:
        """The picture as the user can find its file."""
        return self.plain or self.key

    @property
    def burned_in(self) -> str:
        """What the header says of names and dates in the pixels themselves: YES, NO or unknown."""
        return self.reading.burned_in_annotation

    def with_pixels(self, pixels: np.ndarray) -> "Picture":
        """This picture with other pixels."""
        return replace(self, pixels=pixels)
