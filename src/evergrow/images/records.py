"""What is written of a source's pictures, typed: the audit, as manifest, screen and report have it.

Imports no package of pictures. Nothing in it names a person or a file whose name is hidden.
"""

from collections.abc import Mapping
from typing import Literal

from evergrow.config import Config


class ReadFile(Config):
    """A file of a source as it was read."""

    path: str
    bytes: int
    blake3: str


class LeftOut(Config):
    """A file, and a row of it, that gave no picture: the rule it breaks, and the way out."""

    path: str
    row: int
    reason: str
    way_out: str


class Depth(Config):
    """Pictures of so many stored bits, with the least and the largest number in them."""

    pictures: int
    range: tuple[int, int]


class Pixels(Config):
    """How the pixels of a source came about: in how many pictures what was done.

    ``depths`` by stored bits; ``interest``: by what the values of interest were taken (table,
    window, none); ``narrow`` pictures use less than half of their numbers, which may be meant.
    """

    depths: dict[str, Depth] = {}
    inverted: int = 0
    masked: int = 0
    shifted: int = 0
    turned: int = 0
    interest: dict[str, int] = {}
    intent: dict[str, int] = {}
    narrow: int = 0


class Two(Config):
    """Two pictures of one patient, whose id is spelt in two ways."""

    first: str
    second: str


class Alike(Config):
    """Patients whose ids differ in case, blanks or normal form alone."""

    patients: int = 0
    listed: list[Two] = []


class Returned(Config):
    """Patients on different sides of two sources, and the later one's pictures of them."""

    patients: int
    held_out: int
    train: int


class Answers(Config):
    """Of one finding how many pictures show it, do not, are uncertain, or say nothing of it."""

    present: int
    absent: int
    uncertain: int
    unmentioned: int


class SourceTold(Config):
    """What a source's manifest says beside its pictures.

    ``filtered`` pictures were left out by label, view or intent; ``split`` are the parts that the
    data itself names; ``returning`` counts patients by the earlier source that has them elsewhere.
    """

    pixels: Pixels = Pixels()
    filtered: int = 0
    split: list[str] = []
    ids_alike: Alike = Alike()
    findings: dict[str, Answers] = {}
    returning: dict[str, Returned] = {}


class Owners(Config):
    """One source in the audit: pictures by part, patients and labels.

    ``on_other_side`` are patients who are not where their hash puts them.
    """

    train: int
    val: int = 0
    held_out: int
    patients: int
    labels: dict[str, int]
    burned_in_annotation: dict[str, int] = {}
    on_other_side: int = 0
    told: SourceTold = SourceTold()


class Pair(Config):
    """Two pictures that are alike, and the parts they stand in; ``distance`` in bits."""

    first: str
    second: str
    parts: str
    distance: int | None = None
    labels: tuple[str | None, str | None] | None = None


class Equal(Config):
    """Pairs of pictures that are equal pixel by pixel, by where the two stand."""

    num_pairs: int
    within_train: int
    within_held_out: int
    across: int
    label_conflicts: list[Pair]
    listed: list[Pair]


class Near(Config):
    """Pairs of pictures within some bits of a 64-bit difference hash."""

    bits: int
    num_pairs: int
    across: int
    listed: list[Pair]


class Audit(Config):
    """Everything the audit found; ``keys`` are those of the data folders it is about."""

    format: int = 1
    keys: list[str] = []
    num_pictures: int
    by_source: dict[str, Owners]
    exact: Equal
    near: Near
    patients_across: list[str]
    split_by: Literal["patient", "picture"]

    def to_data(self) -> Mapping[str, object]:
        """Plain data as JSON holds it; what is not said is left out."""
        return self.model_dump(mode="json", exclude_none=True)
