"""Classification of pictures: tell what each of them shows."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from evergrow.errors import InputError
from evergrow.evals.pictures import grad_cam
from evergrow.evals.told import LEAST, prior_of, told_classes
from evergrow.images.sheet import cam_sheet
from evergrow.lineage import Measured
from evergrow.models.load_vision import Labels, labels_in, vision_from_config
from evergrow.models.pixels import model_input
from evergrow.objectives.lines import Case, Shown
from evergrow.objectives.objective import Given, Objective
from evergrow.objectives.picture import (
    SHOWN,
    PictureBatch,
    Pictures,
    chances,
    drawn_part,
    in_turn,
)
from evergrow.stream.pictures import PictureSource, balanced_items, one_hot
from evergrow.stream.plan import Sample
from evergrow.train.objective import Loss

UNIT = "log loss"


def classification(given: Given) -> Objective:
    """Pictures with labels; raises InputError for labels that cannot be told apart."""
    config = given.config
    pictures, labels = Pictures(given), classes(given)
    told = _Told(given, labels)
    balanced = config.order == "balanced"
    items = {
        stock.folder.name: balanced_items(stock.labels["train"])
        for stock in given.stocks.values()
        if balanced and len(stock)
    }

    given_labels = {s.folder.name: s.labels["train"] for s in given.stocks.values()}

    def num_items(name: str) -> int:
        stock = given.stocks[name]
        return len(items.get(stock.folder.name, ())) if balanced else len(stock)

    def batch(samples: Sequence[Sample], numbers: range) -> PictureBatch:
        if balanced:
            samples = [s._replace(item=items[s.source][s.item]) for s in samples]
        own = [given_labels[s.source][s.item] for s in samples]
        return pictures.batch(samples, numbers, one_hot(own, labels))

    weights = balanced_weights(num_learnt(given), labels) if config.weights == "balanced" else None
    start = Labels(labels, config.labels is not None)
    return Objective(
        unit=UNIT,
        counted="pictures",
        num_items=num_items,
        first_model=partial(vision_from_config, given.start, pictures.form, start, given.seed),
        refuse=lambda folder: refuse_other_classes(folder, labels),
        batch=batch,
        loss=ClassLoss(weights),
        measure=told.measure,
        show=told.show,
        probe=pictures.probe,
        save=pictures.save,
    )


class ClassLoss:
    """Cross-entropy of soft targets, each class weighted; sums over pictures.

    A batch counts by its pictures, not by their summed weights: those would take back what a rare
    class is given (at 1 to 10 in batches of 8 it has .35 of the loss, not half).
    """

    def __init__(self, class_weights_K: Tensor | None = None) -> None:
        self._weights = class_weights_K

    def __call__(self, model: nn.Module, batch: PictureBatch, device: torch.device) -> Loss:
        """-sum_n sum_k w_k t_nk log p_nk."""
        assert batch.targets_NK is not None
        targets = batch.targets_NK.to(device)
        if self._weights is not None:
            targets = targets * self._weights.to(device)
        logits = model(model_input(model, batch.pixels_NCHW.to(device))).logits.float()
        error = -(targets * functional.log_softmax(logits, dim=-1)).sum()
        return Loss(error, {"log_loss": error})


def balanced_weights(counts: Mapping[str, int], labels: Sequence[str]) -> Tensor:
    """n / (K n_c) for each label, so that every class weighs the same (scikit-learn).

    Raises InputError for a label without a picture.
    """
    if empty := [label for label in labels if not counts.get(label)]:
        raise InputError(
            f"train.objective.weights: balanced needs a training picture of every label, "
            f"{empty[0]!r} has none; set weights: none, or order: balanced"
        )
    total = sum(counts[label] for label in labels)
    return torch.tensor([total / (len(labels) * counts[label]) for label in labels])


def classes(given: Given) -> list[str]:
    """The classes that are told apart, in order.

    Raises InputError for fewer than two, for a picture without a label or with one that is no
    class, and for a class of which no picture is learnt, unless it is expected of a later stage.
    """
    used = {name: given.stocks[name] for name in given.measured}
    for name, source in used.items():
        if missing := sum(rows.count(None) for rows in source.labels.values()):
            raise InputError(
                f"sources.{name}: has {missing} pictures without a label; give them one, or train "
                + ("{kind: findings}" if source.findings else "a masked autoencoder")
            )
    expected = given.config.expected
    there = given.config.labels or labels_of(used.values())
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
    learnt = num_learnt(given)
    if unexpected := [x for x in found if x not in learnt and x not in expected]:
        raise InputError(
            f"train.objective: no training picture has the label {unexpected[0]!r}; remove it or "
            "add pictures, or list it under expected when a later stage brings them"
        )
    return found


def labels_of(sources: Iterable[PictureSource]) -> list[str]:
    """All labels of training and held-out pictures, numbers in their order, then the alphabet."""
    found = {str(x) for s in sources for part in s.labels.values() for x in part if x is not None}
    return sorted(found, key=lambda label: (not label.isdecimal(), label.zfill(12)))


def num_learnt(given: Given) -> Mapping[str, int]:
    """Training pictures of each label in the sources that are learnt."""
    return Counter(str(x) for name in given.learnt for x in given.stocks[name].labels["train"])


def refuse_other_classes(folder: Path, labels: Sequence[str]) -> None:
    """Raise InputError when the model in ``folder`` tells other classes, or in another order."""
    known = labels_in(folder)
    if known is None or known == labels:
        return
    other = next((x for x in labels if x not in known), None)
    what = "in another order" if other is None else f"and not {other!r}"
    raise InputError(
        f"{folder.parent}: its model tells {', '.join(known)} {what}, and its head cannot "
        "change; leave such pictures out with only, or start a run of another name that lists "
        "them under train.objective.expected from the start"
    )


@final
class _Told:
    """What a classifier takes held-out pictures for."""

    def __init__(self, given: Given, labels: Sequence[str]) -> None:
        self._given, self._labels = given, labels
        self._pictures = Pictures(given)

    def measure(self, model: nn.Module, names: Collection[str], partial: bool) -> list[Measured]:
        """Log loss (nats a picture) and accuracy, beside those of the classes' shares alone."""
        return [self._measured(model, name, partial) for name in names]

    def _measured(self, model: nn.Module, name: str, partial: bool) -> Measured:
        draw = (lambda keys: drawn_part(keys, self._given.part)) if partial else None
        held = self._pictures.measured(name, draw)
        said = chances(model, held)
        truth = np.array([self._labels.index(str(label)) for label in held.labels])
        losses = -np.log(np.maximum(said[np.arange(len(truth)), truth], LEAST))
        counts = self._counts(name)
        told = None
        if not partial:
            usual = int(counts.argmax())
            told = told_classes(said, truth, self._labels, usual, held.patients)
        return held.measured(name, UNIT, losses).model_copy(
            update={
                "accuracy": float((said.argmax(1) == truth).mean()),
                "floor": float(-np.log(prior_of(counts))[truth].mean()),
                "told": told,
            }
        )

    def _counts(self, name: str) -> np.ndarray:
        """[K] the labels of a source's training pictures; of all where it is only measured."""
        source = self._given.stocks[name]
        counts = Counter(source.labels["train"] or source.labels["held_out"])
        return np.array([counts[label] for label in self._labels])

    def show(self, model: nn.Module, names: Collection[str], folder: Path) -> list[Shown]:
        """Pictures told rightly and wrongly under the map of what spoke for the class told."""
        if not self._given.sample_tokens:
            return []
        return [self._sheet(model, name, folder) for name in names]

    def _sheet(self, model: nn.Module, name: str, folder: Path) -> Shown:
        held = self._pictures.shown(name)
        best = chances(model, held).argmax(1)
        told = [self._labels[k] for k in best]
        is_right = [told[i] == label for i, label in enumerate(held.labels)]
        right, wrong = (
            in_turn([i for i, x in enumerate(is_right) if x == said], held.labels)[:SHOWN]
            for said in (True, False)
        )
        chosen = [*right, *wrong]
        pixels = held.pixels(chosen)
        heat = grad_cam(model, pixels, [int(best[i]) for i in chosen])
        picture = f"{name}.png"
        cam_sheet(folder / picture, pixels, heat, len(right), SHOWN)
        cases = [Case.model_validate({"is": str(held.labels[i]), "told": told[i]}) for i in chosen]
        return Shown(source=name, picture=picture, num_right=len(right), cases=cases)
