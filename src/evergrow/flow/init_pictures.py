"""A first recipe for pictures: a classifier where folders are labels, else a masked autoencoder."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from evergrow.errors import InputError

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".dcm")
LOOKED_AT = 200  # files whose size is looked up
LEAST = 64  # 32 are held out, and no more than half
SECONDS = 600.0  # what a first run may take
EPOCHS = 20
LARGEST = 224  # pixels a side
SPLITS = {"train", "val", "validation", "test"}
HIDDEN, LAYERS, BATCH = 64, 4, 32


@dataclass(frozen=True)
class Pictures:
    """Files of pictures: globs, how many, pixels a side, whether all are squares of that already,
    colours, and whether folders are labels and parts of a split."""

    files: list[str]
    number: int
    side: int
    are_alike: bool
    channels: int
    num_labels: int
    are_split: bool
    said: str


def describe_pictures(folder: Path, files: Sequence[Path]) -> Pictures:
    """What pictures are like, by LOOKED_AT of them; folders that hold pictures are labels.

    Raises InputError for fewer than LEAST, and without Pillow.
    """
    if len(files) < LEAST:
        raise InputError(
            f"{folder}: {len(files)} pictures are too few to learn and to measure, {LEAST} are "
            "needed; add files"
        )
    sizes, channels = _looked_at(files[:: max(1, len(files) // LOOKED_AT)])
    side = min((min(size) for size in sizes), default=LARGEST)
    are_alike = sizes == {(side, side)} and side <= LARGEST
    kinds = sorted({file.suffix for file in files})
    labels = Counter(file.parent.name for file in files)
    are_labels = len(labels) > 1 and min(labels.values()) > 1
    of = f" in {len(labels)} folders, which are taken as labels" if are_labels else ""
    return Pictures(
        files=[f"{folder}/**/*{kind}" for kind in kinds],
        number=len(files),
        side=side if are_alike else max(8, min(side, LARGEST) // 8 * 8),
        are_alike=are_alike,
        channels=channels,
        num_labels=len(labels) if are_labels else 0,
        are_split=bool(SPLITS & {part for file in files for part in file.parts}),
        said=f"{folder}: {len(files):,} pictures ({', '.join(kinds)}){of}",
    )


def pictures_recipe(name: str, found: Pictures, speed: float) -> tuple[str, float]:
    """The recipe's text, and the seconds that it takes at ``speed`` operations a second."""
    patch = _patch(found.side)
    each = 6 * 12 * LAYERS * HIDDEN**2 * (found.side // patch) ** 2 / speed  # seconds a picture
    length = max(10 * BATCH, min(EPOCHS * found.number, int(SECONDS / each)))
    settings = [f"images: {json.dumps(found.files)}", f"channels: {found.channels}"]
    settings += [] if found.are_alike else [f"size: {found.side}"]
    settings += ["label_from: folder"] if found.num_labels else []
    settings += ["split_from: folder"] if found.are_split else []
    told = "vit" if found.num_labels else "vit_mae"
    text = TEMPLATE.format(
        said=found.said,
        name=name,
        side=found.side,
        settings=", ".join(settings),
        what=_WHAT[told],
        model=f"preset: {told}, hidden: {HIDDEN}, layers: {LAYERS}, patch: {patch}",
        batch=BATCH,
        epochs=f"{length / found.number:.1f}",
        length=length,
        every=max(BATCH, length // 5),
    )
    return text, length * each


def _patch(side: int) -> int:
    """The smallest that gives at most 14 patches a side."""
    return next(p for p in range(1, side + 1) if side // p <= 14 and not side % p)


TEMPLATE = """\
# {said}
name: {name}
sources:
  {name}:
    # Squares of {side} pixels. Patients, splits and manifests: docs/images.md.
    {{{settings}}}
held_out: {{fraction: 0.15}}
# {what}
model: {{{model}}}
train: {{batch_size: {batch}, optimizer: {{weight_decay: 0.05}}}}
# A rate that stays up, so that the model can always go on; releases are annealed beside it.
schedule: {{kind: infinite, peak_lr: 1e-3}}
stages:
  # One stage a stream; {epochs} times through the pictures.
  - {{name: {name}, data: {name}, images: {length}}}
evaluate: {{every: {every}}}  # pictures between two measurements
"""
_WHAT = {
    "vit": "Tells the folders apart.",
    "vit_mae": "Draws what is hidden of a picture: there are no labels to tell.",
}


def _looked_at(files: Sequence[Path]) -> tuple[set[tuple[int, int]], int]:
    """The sizes of pictures, and whether they have colours (3) or not (1); of DICOM nothing."""
    try:
        from PIL import Image
    except ImportError as error:
        raise InputError("pictures need the package PIL; install evergrow[vision]") from error
    sizes, channels = set(), 1
    for file in files:
        if file.suffix.lower() != ".dcm":
            with Image.open(file) as picture:
                sizes.add(picture.size)
                channels = 3 if picture.mode not in ("L", "1", "I;16", "I") else channels
    return sizes, channels
