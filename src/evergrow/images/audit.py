"""The audit before training: repeats, near repeats, patients on both sides, disagreeing labels."""

import heapq
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from evergrow.errors import InputError
from evergrow.images.picture import Picture

NEAR_BITS = 4  # of 64; at 8 nine of ten radiographs of 28 pixels look alike (measured)
LISTED = 200  # near pairs kept in the record


@dataclass(frozen=True)
class Entry:
    """What the audit knows of one picture; ``plain`` is for sentences on the screen alone."""

    key: str
    source: str
    part: str  # train or held_out
    content_hash: str
    looks: int  # 64-bit difference hash
    patient: str | None
    label: str | None
    burned_in: str
    plain: str = field(default="", compare=False)

    @property
    def shown(self) -> str:
        """The picture as the user knows its file."""
        return self.plain or self.key


def entry(picture: Picture, part: str) -> Entry:
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
    )


def difference_hash(pixels_CHW: np.ndarray) -> int:
    """64 bits: whether each of 8 x 8 areas is brighter than its right neighbour (dHash)."""
    grey = pixels_CHW.astype(np.float32).mean(axis=0)
    small = np.asarray(Image.fromarray(grey).resize((9, 8), Image.Resampling.BILINEAR))
    bits = (small[:, :-1] > small[:, 1:]).ravel()
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def audit(entries: Sequence[Entry]) -> dict[str, Any]:
    """Everything found, as the manifest and the report hold it.

    ``exact`` and ``near`` count pairs by where their two pictures stand; a source without patients
    is said to be split by picture.
    """
    near = near_pairs(entries)
    return {
        "num_pictures": len(entries),
        "by_source": {
            source: {
                "train": sum(e.part == "train" for e in own),
                "held_out": sum(e.part == "held_out" for e in own),
                "patients": len({e.patient for e in own if e.patient}),
                "labels": dict(sorted(Counter(str(e.label) for e in own).items())),
                "burned_in_annotation": dict(Counter(e.burned_in for e in own)),
            }
            for source, own in _by_source(entries).items()
        },
        "exact": _exact(entries),
        "near": {
            "bits": NEAR_BITS,
            "num_pairs": near.num_pairs,
            "across": near.across,
            "listed": [_pair(a, b) | {"distance": d} for a, b, d in near.nearest],
        },
        "patients_across": sorted(_patients_across(entries)),
        "split_by": "patient" if all(e.patient for e in entries) else "picture",
    }


def _by_source(entries: Sequence[Entry]) -> Mapping[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for e in entries:
        found.setdefault(e.source, []).append(e)
    return found


def _pair(a: Entry, b: Entry) -> dict[str, str]:
    return {"first": a.key, "second": b.key, "parts": f"{a.part}, {b.part}"}


def _equal(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Groups of pictures that are equal pixel by pixel."""
    groups: dict[str, list[Entry]] = defaultdict(list)
    for e in entries:
        groups[e.content_hash].append(e)
    return [group for group in groups.values() if len(group) > 1]


def _exact(entries: Sequence[Entry]) -> dict[str, Any]:
    repeated = _equal(entries)
    pairs = [(group[0], other) for group in repeated for other in group[1:]]
    conflicts = [group for group in repeated if len({e.label for e in group}) > 1]
    return {
        "num_pairs": len(pairs),
        "within_train": sum(a.part == b.part == "train" for a, b in pairs),
        "within_held_out": sum(a.part == b.part == "held_out" for a, b in pairs),
        "across": sum(a.part != b.part for a, b in pairs),
        "label_conflicts": [[e.key for e in group] for group in conflicts],
        "listed": [_pair(a, b) for a, b in pairs[:LISTED]],
    }


class Near(NamedTuple):
    """Pairs of unequal pictures that look alike: how many, how many across the split, nearest."""

    num_pairs: int
    across: int
    nearest: list[tuple[Entry, Entry, int]]


def near_pairs(entries: Sequence[Entry]) -> Near:
    """Pairs of unequal pictures whose hashes differ in at most NEAR_BITS bits.

    All are counted, the LISTED nearest kept: of radiographs every second pair may be near.
    """
    hashes = np.array([e.looks for e in entries], np.uint64)
    contents = np.unique([e.content_hash for e in entries], return_inverse=True)[1]
    train = np.array([e.part == "train" for e in entries])
    num_pairs = across = 0
    nearest: list[tuple[int, int, int]] = []
    for i, own in enumerate(hashes):
        distances = np.bitwise_count(hashes[i + 1 :] ^ own)
        alike = (distances <= NEAR_BITS) & (contents[i + 1 :] != contents[i])
        places = np.flatnonzero(alike)
        num_pairs += len(places)
        across += int((train[i + 1 :][places] != train[i]).sum())
        found = zip(distances[places].tolist(), repeat(i), (places + i + 1).tolist(), strict=False)
        nearest = heapq.nsmallest(LISTED, [*nearest, *found]) if len(places) else nearest
    return Near(num_pairs, across, [(entries[i], entries[j], d) for d, i, j in nearest])


def _patients_across(entries: Sequence[Entry]) -> dict[str, list[Entry]]:
    """The pictures of every patient who is in training and held out."""
    found: dict[str, list[Entry]] = defaultdict(list)
    for e in entries:
        if e.patient:
            found[e.patient].append(e)
    return {p: own for p, own in found.items() if len({e.part for e in own}) > 1}


def refuse(entries: Sequence[Entry], source: str) -> None:
    """Raise InputError for exact repeats and for patients on both sides of the split."""
    if repeated := _equal(entries):
        num_pairs = sum(len(group) - 1 for group in repeated)
        across = sum(e.part != group[0].part for group in repeated for e in group[1:])
        first, second = repeated[0][:2]
        raise InputError(
            f"sources.{source}: {num_pairs} pictures occur twice, pixel by pixel "
            f"({across} in training and held out), first {first.shown} and "
            f"{second.shown}; set duplicates: drop to keep one of each"
        )
    if patients := _patients_across(entries):
        own = next(iter(patients.values()))
        first = next(e for e in own if e.part == "train")
        second = next(e for e in own if e.part != "train")
        raise InputError(
            f"sources.{source}: {len(patients)} patients are in training and held out, first that "
            f"of {first.shown} and {second.shown}; correct the column split, or remove it to split "
            "by patient"
        )
