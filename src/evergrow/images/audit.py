"""The audit before training: repeats, near repeats, patients on both sides, disagreeing labels."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from evergrow.images.near import NEAR_BITS, near_pairs
from evergrow.images.picture import PARTS, Findings, Part, Picture, Shows, disagree
from evergrow.images.records import Audit, Equal, Near, Owners, Pair, SourceTold

LISTED = 200  # near pairs kept in the record
_SPELT = {"train": "train", "val": "val", "held_out": "held out"}


@dataclass(frozen=True)
class Entry:
    """What the audit knows of one picture; ``plain`` is for sentences on the screen alone."""

    key: str
    source: str
    part: Part
    content_hash: str
    looks: int  # 64-bit difference hash
    patient: str | None
    label: str | None
    burned_in: str
    plain: str = field(default="", compare=False)
    person: str = field(default="", compare=False)  # the same in every source, never written
    findings: Findings | None = None

    @property
    def shown(self) -> str:
        """The picture as the user knows its file."""
        return self.plain or self.key

    @property
    def shows(self) -> Shows:
        """What the data says that it shows."""
        return Shows(self.label, self.findings)

    @property
    def is_trained(self) -> bool:
        """Whether a model learns from it; else it is measured on."""
        return self.part == "train"


def entry(picture: Picture, part: Part) -> Entry:
    """The audit's view of a picture [C, H, W]."""
    return Entry(
        picture.key,
        picture.source,
        part,
        picture.content_hash,
        difference_hash(picture.pixels),
        picture.patient,
        picture.label,
        picture.burned_in,
        picture.plain,
        picture.drawn.hex() if picture.patient is not None else "",
        picture.findings,
    )


def difference_hash(pixels_CHW: np.ndarray) -> int:
    """64 bits: whether each of 8 x 8 areas is brighter than its right neighbour (dHash)."""
    grey = pixels_CHW.astype(np.float32).mean(axis=0)
    small = np.asarray(Image.fromarray(grey).resize((9, 8), Image.Resampling.BILINEAR))
    bits = (small[:, :-1] > small[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def audit(
    entries: Sequence[Entry],
    on_other_side: Mapping[str, int] | None = None,
    told: Mapping[str, SourceTold] | None = None,
) -> Audit:
    """Everything found, as the manifest and the report hold it.

    ``exact`` and ``near`` count pairs by where their two pictures stand; a source without patients
    is said to be split by picture. ``on_other_side`` counts patients by source who are not where
    their hash puts them: all others are on one side in every source, whatever their pseudonyms.
    ``told`` is what else each source's manifest says.
    """
    near = near_pairs(
        [e.looks for e in entries],
        [e.content_hash for e in entries],
        [e.is_trained for e in entries],
        LISTED,
    )
    elsewhere, said = on_other_side or {}, told or {}
    return Audit(
        num_pictures=len(entries),
        by_source={
            source: _owners(own, elsewhere.get(source, 0), said.get(source, SourceTold()))
            for source, own in _by_source(entries).items()
        },
        exact=_exact(entries),
        near=Near(
            bits=NEAR_BITS,
            num_pairs=near.num_pairs,
            across=near.across,
            listed=[_pair(entries[i], entries[j], distance=d) for i, j, d in near.nearest],
        ),
        patients_across=sorted(patient for _, patient in _patients_across(entries)),
        split_by="patient" if all(e.patient for e in entries) else "picture",
    )


def _owners(own: Sequence[Entry], on_other_side: int, told: SourceTold) -> Owners:
    labels = dict(sorted(Counter(str(e.label) for e in own).items()))
    return Owners(
        **{part: sum(e.part == part for e in own) for part in PARTS},
        patients=len({e.patient for e in own if e.patient}),
        labels=labels if any(e.label for e in own) else {},
        burned_in_annotation=dict(Counter(e.burned_in for e in own)),
        on_other_side=on_other_side,
        told=told,
    )


def _by_source(entries: Sequence[Entry]) -> Mapping[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for e in entries:
        found.setdefault(e.source, []).append(e)
    return found


def _pair(a: Entry, b: Entry, distance: int | None = None, with_labels: bool = False) -> Pair:
    labels = (a.label, b.label) if with_labels else None
    parts = f"{_SPELT[a.part]}, {_SPELT[b.part]}"
    return Pair(first=a.key, second=b.key, parts=parts, distance=distance, labels=labels)


def repeats(entries: Sequence[Entry]) -> list[tuple[Entry, Entry]]:
    """Pairs of pictures that are equal pixel by pixel: the first and each later one."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for e in entries:
        groups[e.content_hash].append(e)
    return [(group[0], other) for group in groups.values() for other in group[1:]]


def _disagree(a: Entry, b: Entry) -> bool:
    """Whether two labels contradict each other; another source may well have none."""
    return disagree(a.shows, b.shows) if a.source == b.source else a.shows.contradicts(b.shows)


def _exact(entries: Sequence[Entry]) -> Equal:
    pairs = repeats(entries)
    conflicts = [_pair(a, b, with_labels=True) for a, b in pairs if _disagree(a, b)]
    return Equal(
        num_pairs=len(pairs),
        within_train=sum(a.is_trained and b.is_trained for a, b in pairs),
        within_held_out=sum(not (a.is_trained or b.is_trained) for a, b in pairs),
        across=sum(a.is_trained != b.is_trained for a, b in pairs),
        label_conflicts=conflicts,
        listed=[_pair(a, b) for a, b in pairs],
    )


def _patients_across(entries: Sequence[Entry]) -> dict[tuple[str, str], list[Entry]]:
    """The pictures of every patient of a source who is in several parts of its split."""
    found: dict[tuple[str, str], list[Entry]] = defaultdict(list)
    for e in entries:
        if e.patient:
            found[e.source, e.patient].append(e)
    return {p: own for p, own in found.items() if len({e.part for e in own}) > 1}


def fault(entries: Sequence[Entry], source: str) -> str | None:
    """Why the pictures must not be trained on, in one sentence that starts with ``source``.

    That is labels that contradict each other, exact repeats, and patients in several parts.
    """
    pairs = repeats(entries)
    if conflicts := [pair for pair in pairs if _disagree(*pair)]:
        a, b = conflicts[0]
        return (
            f"sources.{source}: {len(conflicts)} pictures are equal pixel by pixel to another of "
            f"another label, first {_told(a, source)} of {_shown_label(a)} and "
            f"{_told(b, source)} of {_shown_label(b)}; correct the label or leave both out"
        )
    if pairs:
        a, b = pairs[0]
        across = sum(a.is_trained != b.is_trained for a, b in pairs)
        return (
            f"sources.{source}: {len(pairs)} pictures occur twice, pixel by pixel "
            f"({across} in training and held out), first {_told(a, source)} and "
            f"{_told(b, source)}; set duplicates: drop to keep one of each"
        )
    if patients := _patients_across(entries):
        own = next(iter(patients.values()))
        second = next(e for e in own if e.part != own[0].part)
        return (
            f"sources.{source}: {len(patients)} patients are in several parts of the split, first "
            f"that of {own[0].shown} ({_SPELT[own[0].part]}) and {second.shown} "
            f"({_SPELT[second.part]}); correct the column split, or remove it to split by patient"
        )
    return None


def _told(entry: Entry, source: str) -> str:
    return entry.shown if entry.source == source else f"{entry.shown} of {entry.source}"


def _shown_label(entry: Entry) -> str:
    return f"label {entry.label!r}" if entry.findings is None else f"findings {entry.findings}"
