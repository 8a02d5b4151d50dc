"""A Run on pictures: reconstruction or classification, with probes beside it."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedModel

from evergrow.config import decode
from evergrow.errors import InputError
from evergrow.evals.intervals import mean_interval
from evergrow.evals.pictures import (
    class_probabilities,
    grad_cam,
    mean_patch_errors,
    reconstruct,
    reconstruction_errors,
)
from evergrow.evals.probes import AT_ONCE, in_parts, labelled, probe_lines, why_not
from evergrow.flow.modality import Line, Say, sheets_of
from evergrow.flow.prepare_pictures import labels_of
from evergrow.images.config import AugmentConfig
from evergrow.images.sheet import cam_sheet, reconstruction_sheet
from evergrow.models.load_vision import Labels, labels_in, vision_from_config
from evergrow.models.pixels import model_input
from evergrow.models.save import save_vision_release
from evergrow.models.vision import PictureForm, drawn_anew, refuse_patch
from evergrow.recipe import Recipe
from evergrow.run import Manifest, Run
from evergrow.stream.order import key_of
from evergrow.stream.pictures import PictureSource, balanced_items, picture_batch
from evergrow.stream.plan import Sample
from evergrow.train.config import ClassificationConfig, MaskedPatchesConfig
from evergrow.train.objectives import Objective
from evergrow.train.pictures import (
    Classification,
    MaskedPatches,
    PictureBatch,
    balanced_weights,
    mask_noise,
    num_patches,
    refuse_masking,
)

SHOWN = 8  # pictures of each source on a sheet


class HeldOut(NamedTuple):
    """A source's held-out pictures, or some of them: their labels, patients and keys of masks."""

    source: PictureSource
    items: list[int]
    labels: list[str | None]
    patients: list[str | None]
    keys: list[int]

    def pixels(self, items: Sequence[int]) -> Tensor:
        """[n, C, H, W] of the pictures at these places."""
        return self.source.tensor("held_out", [self.items[i] for i in items])

    def parts(self, model: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
        """Pixels and the noise of their masks, 1,024 pictures at a time."""
        for i, pixels in enumerate(in_parts(self.source, "held_out", self.items)):
            keys = self.keys[AT_ONCE * i : AT_ONCE * (i + 1)]
            yield pixels, mask_noise(keys, num_patches(model))


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
    def _counts(self) -> Mapping[str, int]:
        """Training pictures of each label in the sources that are learnt."""
        return num_learnt(self._recipe, self._opened)

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

    def first_model(self, say: Say) -> PreTrainedModel:
        labels, config = self.labels, self._config
        named = isinstance(config, ClassificationConfig) and config.labels is not None
        told = None if labels is None else Labels(labels, named)
        model = vision_from_config(self._recipe.model, self.form, told, self._seed, say)
        if isinstance(config, MaskedPatchesConfig):
            plain: Any = model.config
            refuse_masking(config, self.form, plain.patch_size)
            set_masking(model, config.fraction, config.normalised)
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
        rows = source.rows["held_out"]
        items = list(range(len(rows["key"])))
        if partial:
            items = self._part(rows["key"])
        label, patient, digest = (
            [rows[column][i] for i in items] for column in ("label", "patient", "content_hash")
        )
        return HeldOut(source, items, label, patient, [key_of("mask", d) for d in digest])

    def _part(self, keys: Sequence[str]) -> list[int]:
        """The held-out pictures that are measured inside a stage.

        For classes they are drawn by a hash: the first ones of a file or folder may all be of one.
        Patches are drawn in the first ones, as they lie; docs/log.md has numbers of that.
        """
        kept = self._recipe.evaluate.part
        if self.labels is None or len(keys) <= kept:
            return list(range(len(keys)))[:kept]
        drawn = sorted(range(len(keys)), key=lambda i: (key_of("part", keys[i]), i))
        return sorted(drawn[:kept])

    def measure(self, model: nn.Module, names: Collection[str], partial: bool) -> list[Line]:
        """Of a masked autoencoder its error and the ``floor`` that a constant reaches; of a
        classifier its log loss and accuracy."""
        measure = self._reconstruction if self.labels is None else self._classes
        return [{"source": name, **measure(model, name, partial)} for name in names]

    def _reconstruction(self, model: nn.Module, name: str, partial: bool) -> Line:
        held = self._held_out(name, partial)
        parts = [reconstruction_errors(model, *part) for part in held.parts(model)]
        errors = np.concatenate(parts)
        return {
            **_mean_line(errors, held),
            "floor": float(self._floor(model, name)[: len(errors)].mean()),
        }

    def _floor(self, model: nn.Module, name: str) -> np.ndarray:
        """The error of every held-out picture under the best constant, computed once."""
        if name not in self._floors:
            config: Any = model.config
            source, held = self._opened[name], self._held_out(name)
            part = "train" if len(source) else "held_out"
            train = in_parts(source, part, range(len(source.pixels[part])))
            read = (model_input(model, pixels) for pixels in train)
            own = ((model_input(model, pixels), noise) for pixels, noise in held.parts(model))
            shape = (config.patch_size, config.mask_ratio, config.norm_pix_loss)
            self._floors[name] = mean_patch_errors(read, own, *shape)
        return self._floors[name]

    def _classes(self, model: nn.Module, name: str, partial: bool) -> Line:
        assert self.labels is not None
        held = self._held_out(name, partial)
        chances = _chances(model, held)
        truth = np.array([self.labels.index(str(label)) for label in held.labels])
        losses = -np.log(np.maximum(chances[np.arange(len(truth)), truth], 1e-12))
        return {**_mean_line(losses, held), "accuracy": float((chances.argmax(1) == truth).mean())}

    def probes(self, model: nn.Module, names: Collection[str], first: bool, say: Say) -> list[Line]:
        if first:
            self._say_unprobed(names, say)
        seen: dict[str, nn.Module | None] = {"model": model}
        if first:
            seen["pixels"] = None
        if first and self._recipe.model.from_ is not None:
            seen["random"] = drawn_anew(model, self._seed)
        return [
            {"source": name, "features": features, **line}
            for features, of in seen.items()
            for name in names
            for line in probe_lines(of, self._opened[name])
        ]

    def _say_unprobed(self, names: Collection[str], say: Say) -> None:
        """Name the sources that have labels and no probe, and what pictures others leave out."""
        for name in names:
            source = self._opened[name]
            parts = {part: len(labelled(source, part)) for part in source.rows}
            if not any(parts.values()):
                continue
            if (reason := why_not(source)) is not None:
                say(f"{name}: no probe, {reason}")
            elif missing := sum(map(len, source.labels.values())) - sum(parts.values()):
                say(f"{name}: probes leave out {missing:,} pictures without a label")

    def samples(
        self, model: nn.Module, names: Collection[str], folder: Path, stage: str | None
    ) -> list[Line]:
        if not self._recipe.evaluate.sample_tokens:
            return []
        lines = []
        for name in names:
            path = sheets_of(stage) / f"{name}.png"
            sheet = self._sheet(model, name, folder / path)
            lines.append({"source": name, "picture": path.as_posix(), **sheet})
        return lines

    def _sheet(self, model: nn.Module, name: str, path: Path) -> Line:
        held = self._held_out(name)
        if self.labels is None:
            pixels = held.pixels(range(len(held.items))[:SHOWN])
            noise = mask_noise(held.keys[:SHOWN], num_patches(model))
            reconstruction_sheet(path, pixels, *reconstruct(model, pixels, noise))
            return {"shows": "reconstruction"}
        chances = _chances(model, held)
        told = [self.labels[k] for k in chances.argmax(1)]
        is_right = [told[i] == label for i, label in enumerate(held.labels)]
        right, wrong = (
            in_turn([i for i, x in enumerate(is_right) if x == said], held.labels)[:SHOWN]
            for said in (True, False)
        )
        chosen = [*right, *wrong]
        pixels = held.pixels(chosen)
        heat = grad_cam(model, pixels, [int(chances[i].argmax()) for i in chosen])
        cam_sheet(path, pixels, heat, len(right), SHOWN)
        cases = [{"is": str(held.labels[i]), "told": told[i]} for i in chosen]
        return {"shows": "class maps", "num_right": len(right), "cases": cases}

    def save_release(
        self, folder: Path, model: PreTrainedModel, card: str, record: Mapping[str, Any]
    ) -> None:
        kind = np.dtype(next(iter(self._opened.values())).manifest["dtype"])
        save_vision_release(folder, model, card, record, int(np.iinfo(kind).max))


def in_turn(items: Sequence[int], labels: Sequence[str | None]) -> list[int]:
    """The items class by class in turn: each class's first, then each one's second ..."""
    seen: dict[str | None, int] = {}
    rounds = []
    for item in items:
        turn = seen[labels[item]] = seen.get(labels[item], 0) + 1
        rounds.append((turn, str(labels[item]), item))
    return [item for *_, item in sorted(rounds)]


def classes(recipe: Recipe, opened: Mapping[str, PictureSource]) -> list[str] | None:
    """The classes that a recipe tells apart, in order; None when it classifies nothing.

    Raises InputError for fewer than two, for a picture without a label or with one that is no
    class, and for a class of which no picture is learnt, unless it is expected of a later stage.
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
    expected = config.expected
    there = config.labels or labels_of(used.values())
    found = [*(label for label in there if label not in expected), *expected]
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
    learnt = num_learnt(recipe, opened)
    if unexpected := [x for x in found if x not in learnt and x not in expected]:
        raise InputError(
            f"train.objective: no training picture has the label {unexpected[0]!r}; remove it or "
            "add pictures, or list it under expected when a later stage brings them"
        )
    if config.weights == "balanced":
        balanced_weights(learnt, found)  # which refuses an expected label that has no picture yet
    return found


def num_learnt(recipe: Recipe, opened: Mapping[str, PictureSource]) -> Mapping[str, int]:
    """Training pictures of each label in the sources that are learnt."""
    return Counter(str(x) for name in recipe.streams for x in opened[name].labels["train"])


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
    form, config = form_of(used), recipe.picture_objective
    if recipe.model.patch is not None:
        refuse_patch(form, recipe.model.patch)
        if isinstance(config, MaskedPatchesConfig):
            refuse_masking(config, form, recipe.model.patch)
    found = classes(recipe, used)
    if found is not None and data:
        root = next(iter(data.values())).parent.parent
        refuse_other_classes(recipe, root, found)
    return {folder.name: num_items(recipe, folder) for folder in data.values()}


def refuse_other_classes(recipe: Recipe, root: Path, found: Sequence[str]) -> None:
    """Raise InputError when a Run in ``root`` that ``recipe`` goes on with tells other classes."""
    for folder in (*root.glob("*/model"), *root.glob("*/seed-*/model")):
        if not (folder / "config.json").exists():
            continue
        before = decode(Recipe, Run(folder.parent).manifest.recipe, "manifest.recipe")
        known = labels_in(folder)
        if known is None or known == found or not _goes_on(before, recipe):
            continue
        other = next((x for x in found if x not in known), None)
        what = "in another order" if other is None else f"and not {other!r}"
        raise InputError(
            f"{folder.parent}: its model tells {', '.join(known)} {what}, and its head cannot "
            "change; leave such pictures out with only, or start a run of another name that lists "
            "them under train.objective.expected from the start"
        )


def _goes_on(before: Recipe, now: Recipe) -> bool:
    """Whether a Run with the recipe ``before`` is one that ``now`` only adds stages to."""
    same = (before.model, before.picture_objective, before.evaluate) == (
        now.model,
        now.picture_objective,
        now.evaluate,
    )
    known = [(s.name, s.weights) for s in before.stages]
    return same and [(s.name, s.weights) for s in now.stages[: len(known)]] == known


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


def _chances(model: nn.Module, held: HeldOut) -> np.ndarray:
    """[N, K] of a classifier on held-out pictures."""
    parts = in_parts(held.source, "held_out", held.items)
    return np.concatenate([class_probabilities(model, pixels) for pixels in parts])


def _mean_line(values: np.ndarray, held: HeldOut) -> Line:
    return {"loss": float(values.mean()), **mean_interval(values, held.patients)}
