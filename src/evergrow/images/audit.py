"""The audit before training: repeats, near repeats, patients on both sides, disagreeing labels."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from PIL import Image

from evergrow.errors import InputError
from evergrow.images.picture import Picture

NEAR_BITS = 4  # of 64; at 8 nine of ten radiographs of 28 pixels look alike (measured)
LISTED = 200  # near pairs kept in the record


@dataclass(frozen=True)
class Entry:
    """What the audit knows of one picture."""

    key: str
    source: str
    part: str  # train or held_out
    content_hash: str
    looks: int  # 64-bit difference hash
    patient: str | None
    label: str | None
    burned_in: str


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
        str(picture.reading.get("burned_in_annotation", "unknown")),
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
    exact = _exact(entries)
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
        "exact": exact,
        "near": {
            "bits": NEAR_BITS,
            "num_pairs": len(near),
            "across": sum(a.part != b.part for a, b, _ in near),
            "listed": [_pair(a, b) | {"distance": d} for a, b, d in near[:LISTED]],
        },
        "patients_across": _patients_across(entries),
        "split_by": "patient" if all(e.patient for e in entries) else "picture",
    }


def _by_source(entries: Sequence[Entry]) -> Mapping[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for e in entries:
        found.setdefault(e.source, []).append(e)
    return found


def _pair(a: Entry, b: Entry) -> dict[str, str]:
    return {"first": a.key, "second": b.key, "parts": f"{a.part}, {b.part}"}


def _exact(entries: Sequence[Entry]) -> dict[str, Any]:
    groups: dict[str, list[Entry]] = defaultdict(list)
    for e in entries:
        groups[e.content_hash].append(e)
    repeated = [group for group in groups.values() if len(group) > 1]
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


def near_pairs(entries: Sequence[Entry]) -> list[tuple[Entry, Entry, int]]:
    """Pairs of unequal pictures whose hashes differ in at most NEAR_BITS bits, nearest first."""
    hashes = np.array([e.looks for e in entries], np.uint64)
    found = []
    for i, own in enumerate(hashes):
        distances = np.bitwise_count(hashes[i + 1 :] ^ own)
        for offset in np.flatnonzero(distances <= NEAR_BITS):
            other = entries[i + 1 + int(offset)]
            if other.content_hash != entries[i].content_hash:
                found.append((entries[i], other, int(distances[offset])))
    return sorted(found, key=lambda pair: (pair[2], pair[0].key, pair[1].key))


def _patients_across(entries: Sequence[Entry]) -> list[str]:
    parts: dict[str, set[str]] = defaultdict(set)
    for e in entries:
        if e.patient:
            parts[e.patient].add(e.part)
    return sorted(patient for patient, found in parts.items() if len(found) > 1)


def refuse(found: Mapping[str, Any], source: str) -> None:
    """Raise InputError for exact repeats and for patients on both sides of the split."""
    exact = found["exact"]
    if exact["num_pairs"]:
        first = exact["listed"][0]
        raise InputError(
            f"sources.{source}: {exact['num_pairs']} pictures occur twice, pixel by pixel "
            f"({exact['across']} in training and held out), first {first['first']} and "
            f"{first['second']}; set duplicates: drop to keep one of each"
        )
    if patients := found["patients_across"]:
        raise InputError(
            f"sources.{source}: {len(patients)} patients are in training and held out, first "
            f"pseudonym {patients[0]}; correct the column split, or remove it to split by patient"
        )


def record(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """The entries as plain data."""
    return [asdict(e) for e in entries]
