"""A Run on pictures: reconstruction or classification, with probes beside it."""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.evals.pictures import (
    class_probabilities,
    grad_cam,
    mean_patch_errors,
    reconstruct,
    reconstruction_errors,
)
from evergrow.evals.probes import probe_lines
from evergrow.flow.modality import Line, sheets_of
from evergrow.flow.prepare_pictures import labels_of
from evergrow.images.config import AugmentConfig
from evergrow.images.sheet import cam_sheet, reconstruction_sheet
from evergrow.models.load_vision import vision_from_config
from evergrow.models.pixels import model_input
from evergrow.models.save import save_vision_release
from evergrow.models.vision import PictureForm
from evergrow.recipe import Recipe
from evergrow.run import Manifest
from evergrow.statistics import bootstrap_ratio
from evergrow.stream.order import key_of
from evergrow.stream.pictures import PictureSource, balanced_items, picture_batch
from evergrow.stream.plan import Sample
from evergrow.train.config import ClassificationConfig
from evergrow.train.objectives import Objective
from evergrow.train.pictures import (
    Classification,
    MaskedPatches,
    PictureBatch,
    balanced_weights,
    mask_noise,
    num_patches,
)

SHOWN = 8  # pictures of each source on a sheet


class HeldOut(NamedTuple):
    """A source's held-out pictures [N, C, H, W], their labels, and the noise of their masks."""

    pixels: Tensor
    labels: list[str | None]
    keys: list[int]


@final
class Pictures:
    """The picture folders of a Run; see Modality."""

    def __init__(self, recipe: Recipe, root: Path, manifest: Manifest) -> None:
        self._recipe, self._seed = recipe, manifest.seed
        self._opened = {n: PictureSource.open(root / p) for n, p in manifest.data.items()}
        self._by_folder = {Path(p).name: self._opened[n] for n, p in manifest.data.items()}
        self._config = recipe.picture_objective
        self._floors: dict[str, np.ndarray] = {}

    @cached_property
    def labels(self) -> list[str] | None:
        """The classes, None when nothing is classified; see ``classes``."""
        return classes(self._recipe, self._opened)

    @cached_property
    def _counts(self) -> dict[str, int]:
        """Training pictures of each label in the sources that are learnt."""
        sources = [self._opened[name] for name in self._recipe.streams]
        labels = [str(x) for source in sources for x in source.labels["train"]]
        return {label: labels.count(label) for label in dict.fromkeys(labels)}

    @cached_property
    def _items(self) -> dict[str, list[int]] | None:
        """Which picture each item means, by folder, when the classes are read equally often."""
        if not isinstance(self._config, ClassificationConfig) or self._config.order == "natural":
            return None
        sources = {name: s for name, s in self._by_folder.items() if len(s)}
        return {name: balanced_items(s.labels["train"]) for name, s in sources.items()}

    @property
    def form(self) -> PictureForm:
        """What all sources' pictures look like."""
        return form_of(self._opened)

    @property
    def sizes(self) -> Mapping[str, int]:
        folders = {name: source.folder for name, source in self._by_folder.items()}
        return {name: num_items(self._recipe, folder) for name, folder in folders.items()}

    def first_model(self) -> PreTrainedModel:
        model = vision_from_config(self._recipe.model, self.form, self.labels, self._seed)
        if self.labels is None:
            set_masking(model, self._config.fraction, self._config.normalised)  # pyright: ignore
        return model

    def objective(self, model: nn.Module) -> Objective:
        if self.labels is None:
            return MaskedPatches()
        assert isinstance(self._config, ClassificationConfig)
        weighted = self._config.weights == "balanced"
        return Classification(balanced_weights(self._counts, self.labels) if weighted else None)

    def batch(self, samples: Sequence[Sample], numbers: range) -> PictureBatch:
        if self._items is not None:
            samples = [s._replace(item=self._items[s.source][s.item]) for s in samples]
        changes = self._recipe.train.augment or AugmentConfig()
        first, labels = numbers[0], self.labels
        found = picture_batch(samples, self._by_folder, first, self._seed, changes, labels)
        return PictureBatch(*found)

    def _held_out(self, name: str, partial: bool = False) -> HeldOut:
        source = self._opened[name]
        kept = self._recipe.evaluate.part if partial else None
        hashes = source.hashes["held_out"][:kept]
        keys = [key_of("mask", digest) for digest in hashes]
        pixels = source.tensor("held_out", range(len(hashes)))
        return HeldOut(pixels, source.labels["held_out"][:kept], keys)

    def measure(self, model: nn.Module, names: Collection[str], partial: bool) -> list[Line]:
        """Of a masked autoencoder its error and the ``floor`` that a constant reaches; of a
        classifier its log loss and accuracy."""
        measure = self._reconstruction if self.labels is None else self._classes
        return [{"source": name, **measure(model, name, partial)} for name in names]

    def _reconstruction(self, model: nn.Module, name: str, partial: bool) -> Line:
        held = self._held_out(name, partial)
        noise = mask_noise(held.keys, num_patches(model))
        errors = reconstruction_errors(model, held.pixels, noise)
        return {
            **_mean_line(errors),
            "floor": float(self._floor(model, name)[: len(errors)].mean()),
        }

    def _floor(self, model: nn.Module, name: str) -> np.ndarray:
        """The error of every held-out picture under the best constant, computed once."""
        if name not in self._floors:
            config: Any = model.config
            source, held = self._opened[name], self._held_out(name)
            train = source.tensor("train") if len(source) else held.pixels
            train, own = (model_input(model, pixels) for pixels in (train, held.pixels))
            noise = mask_noise(held.keys, num_patches(model))
            shape = (config.patch_size, config.mask_ratio, config.norm_pix_loss)
            self._floors[name] = mean_patch_errors(train, own, noise, *shape)
        return self._floors[name]

    def _classes(self, model: nn.Module, name: str, partial: bool) -> Line:
        assert self.labels is not None
        held = self._held_out(name, partial)
        chances = class_probabilities(model, held.pixels)
        truth = np.array([self.labels.index(str(label)) for label in held.labels])
        losses = -np.log(np.maximum(chances[np.arange(len(truth)), truth], 1e-12))
        return {**_mean_line(losses), "accuracy": float((chances.argmax(1) == truth).mean())}

    def probes(self, model: nn.Module, first: bool) -> list[Line]:
        seen = {"features": "model", "of": model}, {"features": "pixels", "of": None}
        return [
            {"source": name, "features": each["features"], **line}
            for each in seen[: 2 if first else 1]
            for name in self._recipe.measured
            for line in probe_lines(each["of"], self._opened[name])
        ]

    def samples(self, model: nn.Module, folder: Path, stage: str | None) -> list[Line]:
        if not self._recipe.evaluate.sample_tokens:
            return []
        lines = []
        for name in self._recipe.measured:
            path = sheets_of(stage) / f"{name}.png"
            sheet = self._sheet(model, name, folder / path)
            lines.append({"source": name, "picture": path.as_posix(), **sheet})
        return lines

    def _sheet(self, model: nn.Module, name: str, path: Path) -> Line:
        held = self._held_out(name)
        if self.labels is None:
            pixels = held.pixels[:SHOWN]
            noise = mask_noise(held.keys[:SHOWN], num_patches(model))
            reconstruction_sheet(path, pixels, *reconstruct(model, pixels, noise))
            return {"shows": "reconstruction"}
        chances = class_probabilities(model, held.pixels)
        told = [self.labels[k] for k in chances.argmax(1)]
        right = [i for i, label in enumerate(held.labels) if told[i] == label][:SHOWN]
        wrong = [i for i, label in enumerate(held.labels) if told[i] != label][:SHOWN]
        chosen = [*right, *wrong]
        classes = [int(chances[i].argmax()) for i in chosen]
        heat = grad_cam(model, held.pixels[chosen], classes)
        cam_sheet(path, held.pixels[chosen], heat, len(right), SHOWN)
        cases = [{"is": str(held.labels[i]), "told": told[i]} for i in chosen]
        return {"shows": "class maps", "num_right": len(right), "cases": cases}

    def save_release(
        self, folder: Path, model: PreTrainedModel, card: str, record: Mapping[str, Any]
    ) -> None:
        save_vision_release(folder, model, card, record)


def classes(recipe: Recipe, opened: Mapping[str, PictureSource]) -> list[str] | None:
    """The classes that a recipe tells apart, in order; None when it classifies nothing.

    Raises InputError for fewer than two, for a picture without a label or with one that is no
    class, and for a class of which no picture is learnt.
    """
    config = recipe.picture_objective
    if not isinstance(config, ClassificationConfig):
        return None
    used = {name: opened[name] for name in recipe.measured}
    for name, source in used.items():
        if missing := sum(rows.count(None) for rows in source.labels.values()):
            raise InputError(
                f"sources.{name}: has {missing} pictures without a label; give them one, or train "
                "a masked autoencoder"
            )
    found = list(config.labels or labels_of(used.values()))
    if len(found) < 2:
        raise InputError(
            f"train.objective: classification needs two labels, the sources have {found}; "
            "set label_from, a manifest, or train a masked autoencoder"
        )
    for name, source in used.items():
        if strange := {x for rows in source.labels.values() for x in rows} - set(found):
            raise InputError(
                f"sources.{name}: has the label {min(map(str, strange))!r}, which is not among "
                f"{', '.join(found)}; add it or leave it out with only"
            )
    learnt = {x for name in recipe.streams for x in opened[name].labels["train"]}
    if empty := [x for x in found if x not in learnt]:
        raise InputError(
            f"train.objective.labels: no training picture has the label {empty[0]!r}; remove "
            "it or add pictures"
        )
    return found


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


def checked_sizes(recipe: Recipe, data: Mapping[str, Path]) -> dict[str, int]:
    """The items of every data folder, by its name; ``data`` is source -> folder.

    Raises InputError for what cannot be trained on, before anything of a Run is written.
    """
    opened = {name: PictureSource.open(folder) for name, folder in data.items()}
    used = {name: opened[name] for name in recipe.measured}
    form_of(used)
    classes(recipe, used)
    return {folder.name: num_items(recipe, folder) for folder in data.values()}


def num_items(recipe: Recipe, folder: Path) -> int:
    """Pictures to read in a data folder; rare classes' several times when all are read equally."""
    source, objective = PictureSource.open(folder), recipe.picture_objective
    if isinstance(objective, ClassificationConfig) and objective.order == "balanced":
        return len(balanced_items(source.labels["train"])) if len(source) else 0
    return len(source)


def set_masking(model: nn.Module, fraction: float, normalised: bool) -> None:
    """Let a masked autoencoder hide ``fraction`` of the patches and draw normalised pixels."""
    plain: Any = model
    for config in (plain.config, plain.vit.config, plain.vit.embeddings.config):
        config.mask_ratio, config.norm_pix_loss = fraction, normalised


def _mean_line(values: np.ndarray) -> Line:
    interval = bootstrap_ratio(values, np.ones_like(values))
    return {
        "loss": float(values.mean()),
        "low": interval.low,
        "high": interval.high,
        "num_pictures": len(values),
    }
