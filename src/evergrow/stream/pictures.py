"""Pictures to an immutable data folder and back: pixels in one file, what is known in a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from evergrow.disk import checksum
from evergrow.errors import EvergrowError
from evergrow.images.augment import augment, cutmix
from evergrow.images.config import AugmentConfig
from evergrow.images.picture import PARTS, Findings, Part, Picture
from evergrow.stream.order import key_of
from evergrow.stream.plan import Sample
from evergrow.stream.proof import Proof, read_data_manifest, write_data_manifest

ALWAYS: tuple[Part, ...] = ("train", "held_out")  # though one of them may be empty
# All of a picture that is written besides its pixels.
COLUMNS = ("id", "content_hash", "key", "patient", "site", "label", "burned_in")


def write_pictures(
    folder: Path, pictures: Mapping[Part, Sequence[Picture]], manifest: dict[str, Any]
) -> dict[str, Any]:
    """Write the parts into the empty ``folder``; returns the whole manifest, written last."""
    import pyarrow as pa
    from pyarrow import parquet

    first = next(p for part in pictures.values() for p in part).pixels
    counts: dict[str, Any] = {}
    files: dict[str, Any] = {}
    stored: list[Part] = [p for p in PARTS if p in ALWAYS or pictures.get(p)]
    for part in stored:
        (folder / part).mkdir()
        path = folder / part / "pixels.bin"
        with path.open("wb") as file:
            for picture in pictures[part]:
                file.write(np.ascontiguousarray(picture.pixels).tobytes())
        rows = [{name: getattr(p, name) for name in COLUMNS} for p in pictures[part]]
        schema = pa.schema([(name, pa.string()) for name in COLUMNS])
        if names := manifest.get("findings"):
            schema = schema.append(pa.field("findings", pa.list_(pa.int8())))
            for row, picture in zip(rows, pictures[part], strict=True):
                row["findings"] = [(picture.findings or {}).get(name) for name in names]
        table = folder / part / "pictures.parquet"
        parquet.write_table(pa.Table.from_pylist(rows, schema=schema), table)
        counts[part] = {"num_pictures": len(rows)}
        for written in (path, table):
            name = f"{part}/{written.name}"
            files[name] = {"bytes": written.stat().st_size, "blake3": checksum(written)}
    whole = {
        **manifest,
        "shape": list(first.shape),
        "dtype": first.dtype.str,
        "files": files,
        **counts,
    }
    return write_data_manifest(folder, whole)


@dataclass(frozen=True)
class PictureSource:
    """A data folder of pictures, memory-mapped; items count from 0 through its training part."""

    folder: Path
    manifest: dict[str, Any]
    pixels: dict[Part, np.ndarray]
    rows: dict[Part, dict[str, list[Any]]]  # by part and column
    proof: Proof

    @property
    def steered_by(self) -> Part:
        """What choices are made on: val where the data has one beside its test."""
        return "val" if "val" in self.rows else "held_out"

    def called(self, part: Part) -> str | None:
        """What the data's own split calls a part that is measured; None where it has no split."""
        given = self.manifest.get("told", {}).get("split", [])
        if not given:
            return None
        return "test" if part == "held_out" and "test" in given else "val"

    @property
    def labels(self) -> dict[Part, list[str | None]]:
        """The label of every picture, by part."""
        return {part: rows["label"] for part, rows in self.rows.items()}

    @property
    def findings(self) -> list[str]:
        """What its pictures show of several things, by name; empty where they have one label."""
        return self.manifest.get("findings", [])

    def findings_of(self, part: Part, item: int) -> Findings | None:
        """What is known of a picture's findings; None where the source has none."""
        if not self.findings:
            return None
        values = zip(self.findings, self.rows[part]["findings"][item], strict=True)
        return {name: value for name, value in values if value is not None}

    @property
    def hashes(self) -> dict[Part, list[str]]:
        """The content hash of every picture, by part."""
        return {part: rows["content_hash"] for part, rows in self.rows.items()}

    @classmethod
    def open(cls, folder: Path) -> "PictureSource":
        """Open a folder; raises EvergrowError for a missing, truncated or changed file."""
        from pyarrow import parquet

        manifest = read_data_manifest(folder)
        proof = Proof(folder, manifest["files"])
        pixels, rows = {}, {}
        for part in (p for p in PARTS if p in manifest):
            shape = (manifest[part]["num_pictures"], *manifest["shape"])
            path = folder / part / "pixels.bin"
            kind = manifest["dtype"]
            pixels[part] = (
                np.memmap(path, kind, "r", shape=shape) if shape[0] else np.empty(shape, kind)
            )
            rows[part] = parquet.read_table(folder / part / "pictures.parquet").to_pydict()
        return cls(folder, manifest, pixels, rows, proof)

    def __len__(self) -> int:
        return len(self.pixels["train"])

    def tokens_an_item(self, sequence_length: int) -> float:
        """What a picture moves the clock by: one."""
        return 1.0

    def tensor(self, part: Part, items: Sequence[int] | None = None) -> Tensor:
        """[N, C, H, W] float32 in [0, 1]; all of the part without ``items``."""
        self.proof.hold()
        chosen = self.pixels[part] if items is None else self.pixels[part][list(items)]
        white = np.iinfo(chosen.dtype).max
        return torch.from_numpy(np.asarray(chosen, np.float32) / np.float32(white))


def balanced_items(labels: Sequence[str | None]) -> list[int]:
    """Items so that every class comes equally often: the n-th is of class n mod K.

    A rare class's pictures are repeated; all pictures of the most frequent class occur once.
    """
    by_label: dict[str, list[int]] = {}
    for item, label in enumerate(labels):
        by_label.setdefault(str(label), []).append(item)
    classes = [by_label[label] for label in sorted(by_label)]
    longest = max(len(items) for items in classes)
    return [items[i % len(items)] for i in range(longest) for items in classes]


def one_hot(labels: Sequence[str | None], names: Sequence[str]) -> Tensor:
    """[N, K] rows with a one at the label's place; raises EvergrowError for a label without one."""
    places = {name: k for k, name in enumerate(names)}
    targets = torch.zeros(len(labels), len(names))
    for n, label in enumerate(labels):
        if label not in places:
            raise EvergrowError(
                f"label {label!r} is not among the model's ({', '.join(names)}); correct the data "
                "or train.objective.labels"
            )
        targets[n, places[label]] = 1
    return targets


def picture_batch(
    samples: Sequence[Sample],
    sources: Mapping[str, PictureSource],
    first_number: int,
    seed: int,
    changes: AugmentConfig,
    targets_NK: Tensor | None,
) -> tuple[Tensor, Tensor | None, list[int]]:
    """Changed pixels [N, C, H, W], targets [N, K] as CutMix mixes them, and each sample's key.

    ``first_number`` is the global number of the first sample: changes and masks are drawn from it.
    """
    keys = [key_of("picture", seed, first_number + n) for n in range(len(samples))]
    changed = augment(_pixels(samples, sources), keys, changes)
    if targets_NK is not None and changes.cutmix > 0:
        key = key_of("cutmix", keys[0])
        changed, targets_NK = cutmix(changed, targets_NK, key, changes.cutmix)
    return changed, targets_NK, keys


def _pixels(samples: Sequence[Sample], sources: Mapping[str, PictureSource]) -> Tensor:
    """[N, C, H, W] of the samples in their order, each source read at once."""
    places: dict[str, list[int]] = {}
    for place, sample in enumerate(samples):
        places.setdefault(sample.source, []).append(place)
    parts = {
        name: sources[name].tensor("train", [samples[place].item for place in own])
        for name, own in places.items()
    }
    if len(parts) == 1:
        return next(iter(parts.values()))
    pixels = torch.empty(len(samples), *next(iter(parts.values())).shape[1:])
    for name, own in places.items():
        pixels[own] = parts[name]
    return pixels
