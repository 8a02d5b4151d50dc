"""What objectives on pictures share: held-out pictures, batches, probes, a release."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self, final

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.evals.intervals import mean_interval
from evergrow.evals.pictures import chances_of
from evergrow.evals.probes import AT_ONCE, in_parts, labelled, probe_lines, why_not
from evergrow.images.config import AugmentConfig
from evergrow.images.picture import Part
from evergrow.lineage import Measured
from evergrow.models.save import save_vision_release
from evergrow.models.vision import PictureForm, drawn_anew, refuse_patch
from evergrow.objectives.lines import Probed
from evergrow.objectives.objective import Given, Say
from evergrow.stream.order import key_of
from evergrow.stream.pictures import PictureSource, picture_batch
from evergrow.stream.plan import Sample

SHOWN = 8  # pictures of each source on a sheet
Draw = Callable[[Sequence[str]], list[int]]  # keys of pictures -> places of some


@dataclass(frozen=True)
class PictureBatch:
    """pixels_NCHW float32; targets_NK where there are labels; keys_N draw the masks.

    Rows of targets sum to 1 for classes; of findings a target that is no number is unknown.
    """

    pixels_NCHW: Tensor
    targets_NK: Tensor | None
    keys_N: Sequence[int]

    @property
    def weight(self) -> float:
        """The number of pictures, each by its share of targets that are known.

        The weights of classes average 1.
        """
        if self.targets_NK is None:
            return float(len(self.pixels_NCHW))
        return float((~self.targets_NK.isnan()).sum()) / self.targets_NK.shape[1]

    @property
    def passed(self) -> int:
        """The number of pictures."""
        return len(self.pixels_NCHW)

    def split(self, size: int) -> list[Self]:
        """Micro-batches of ``size`` pictures."""
        return [
            type(self)(
                self.pixels_NCHW[i : i + size],
                None if self.targets_NK is None else self.targets_NK[i : i + size],
                self.keys_N[i : i + size],
            )
            for i in range(0, len(self.pixels_NCHW), size)
        ]


class HeldOut(NamedTuple):
    """A part of a source that is measured, or some of it: labels, patients and keys of masks."""

    source: PictureSource
    part: Part
    items: list[int]
    labels: list[str | None]
    patients: list[str | None]
    keys: list[int]

    def pixels(self, items: Sequence[int]) -> Tensor:
        """[n, C, H, W] of the pictures at these places."""
        return self.source.tensor(self.part, [self.items[i] for i in items])

    def parts(self, num_patches: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels and the noise of their masks, 1,024 pictures at a time."""
        for i, pixels in enumerate(in_parts(self.source, self.part, self.items)):
            keys = self.keys[AT_ONCE * i : AT_ONCE * (i + 1)]
            yield pixels, mask_noise(keys, num_patches)

    def measured(self, source: str, unit: str, values: np.ndarray) -> Measured:
        """The mean of a value a picture, with its interval over patients."""
        found = mean_interval(values, self.patients)
        bounds = {name: found.pop(name) for name in ("low", "high")}
        return Measured(
            source=source,
            unit=unit,
            part=self.source.called(self.part),
            loss=float(values.mean()),
            **bounds,
            counts=found,
        )


def mask_noise(keys_N: Sequence[int], num_patches: int) -> Tensor:
    """[N, L] uniform numbers, a pure function of the keys; the smallest are kept in sight."""
    draws = [np.random.Generator(np.random.Philox(key=key)).random(num_patches) for key in keys_N]
    return torch.from_numpy(np.stack(draws)).float()


@final
class Pictures:
    """The sources of an open stage; raises InputError when their pictures differ in form."""

    def __init__(self, given: Given) -> None:
        self.given = given
        self._by_folder = given.by_folder
        self.form = form_of({name: given.stocks[name] for name in given.measured})
        if given.start.patch is not None:
            refuse_patch(self.form, given.start.patch)

    def batch(
        self, samples: Sequence[Sample], numbers: range, targets_NK: Tensor | None
    ) -> PictureBatch:
        changes = self.given.train.augment or AugmentConfig()
        first, seed = numbers[0], self.given.seed
        drawn = picture_batch(samples, self._by_folder, first, seed, changes, targets_NK)
        return PictureBatch(*drawn)

    def measured(self, name: str, partial: Draw | None) -> HeldOut:
        """What a source is measured on: all that is held out, for the numbers that are reported.

        Or, for a look that steers, those that ``partial`` takes, by their keys, of its val.
        """
        part = "held_out" if partial is None else self.given.stocks[name].steered_by
        return self.held_out(name, part, partial)

    def shown(self, name: str) -> HeldOut:
        """What a person looks at while there is something to be chosen."""
        return self.held_out(name, self.given.stocks[name].steered_by)

    def held_out(self, name: str, part: Part, draw: Draw | None = None) -> HeldOut:
        """A part of a source, or those of its pictures that ``draw`` takes by their keys."""
        source = self.given.stocks[name]
        rows = source.rows[part]
        items = list(range(len(rows["key"]))) if draw is None else draw(rows["key"])
        label, patient, digest = (
            [rows[column][i] for i in items] for column in ("label", "patient", "content_hash")
        )
        return HeldOut(source, part, items, label, patient, [key_of("mask", d) for d in digest])

    def probe(
        self, model: nn.Module, names: Collection[str], first: bool, say: Say
    ) -> list[Probed]:
        """A linear and a nearest-neighbour probe of features; first also of pixels, and of random
        weights beside loaded ones."""
        seen: dict[str, nn.Module | None] = {"model": model}
        if first:
            self._say_unprobed(names, say)
            seen["pixels"] = None
        if first and self.given.start.from_ is not None:
            seen["random"] = drawn_anew(model, self.given.seed)
        return [
            _probed(name, features, line)
            for features, of in seen.items()
            for name in names
            for line in probe_lines(of, self.given.stocks[name])
        ]

    def _say_unprobed(self, names: Collection[str], say: Say) -> None:
        """Name the sources that have labels and no probe, and what pictures others leave out."""
        for name in names:
            source = self.given.stocks[name]
            parts = {part: len(labelled(source, part)) for part in source.rows}
            if not any(parts.values()):
                continue
            if (reason := why_not(source)) is not None:
                say(f"{name}: no probe, {reason}")
            elif missing := sum(map(len, source.labels.values())) - sum(parts.values()):
                say(f"{name}: probes leave out {missing:,} pictures without a label")

    def save(
        self,
        folder: Path,
        model: PreTrainedModel,
        card: str,
        record: Mapping[str, Any],
        brought: Path,
    ) -> None:
        kind = np.dtype(next(iter(self.given.stocks.values())).manifest["dtype"])
        save_vision_release(folder, model, card, record, int(np.iinfo(kind).max), brought)


def _probed(source: str, features: str, line: dict[str, Any]) -> Probed:
    told = {name: line[name] for name in ("probe", "accuracy", "low", "high")}
    counts = {name: value for name, value in line.items() if name.startswith("num_")}
    return Probed(source=source, features=features, **told, counts=counts)


def form_of(opened: Mapping[str, PictureSource]) -> PictureForm:
    """What all sources' pictures look like; raises InputError when they differ."""
    shapes = {n: tuple(s.manifest["shape"]) for n, s in opened.items()}
    first, shape = next(iter(shapes.items()))
    for name, other in shapes.items():
        if other != shape or shape[1] != shape[2]:
            raise InputError(
                f"sources.{name}: pictures of {other[1]} x {other[2]} pixels and {other[0]} "
                f"channels, {first} has {shape[1]} x {shape[2]} and {shape[0]}; set size"
            )
    return PictureForm(shape[1], shape[0])


def drawn_part(keys: Sequence[str], num: int) -> list[int]:
    """At most ``num`` pictures, drawn by a hash: the first ones of a file may be of one class."""
    if len(keys) <= num:
        return list(range(len(keys)))
    drawn = sorted(range(len(keys)), key=lambda i: (key_of("part", keys[i]), i))
    return sorted(drawn[:num])


def chances(model: nn.Module, held: HeldOut) -> np.ndarray:
    """[N, K] of a classifier on held-out pictures."""
    parts = in_parts(held.source, held.part, held.items)
    return np.concatenate([chances_of(model, pixels) for pixels in parts])


def in_turn(items: Sequence[int], labels: Sequence[str | None]) -> list[int]:
    """The items class by class in turn: each class's first, then each one's second ..."""
    seen: Counter[str | None] = Counter()
    rounds = []
    for item in items:
        seen[labels[item]] += 1
        rounds.append((seen[labels[item]], str(labels[item]), item))
    return [item for *_, item in sorted(rounds)]
