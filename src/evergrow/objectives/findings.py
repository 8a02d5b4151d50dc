"""Findings of pictures: several things, each told by itself, of which some may be unknown."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import final

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.evals.intervals import ratio_interval
from evergrow.evals.pictures import grad_cam
from evergrow.evals.told import log_losses, prior_of, told_findings
from evergrow.images.findings import UNCERTAIN
from evergrow.images.picture import Part
from evergrow.images.sheet import cam_sheet
from evergrow.lineage import Measured
from evergrow.models.load_vision import Labels, labels_in, vision_from_config
from evergrow.models.pixels import model_input
from evergrow.objectives.config import FindingsConfig
from evergrow.objectives.lines import Case, Shown
from evergrow.objectives.objective import Given, Objective, Say
from evergrow.objectives.picture import (
    SHOWN,
    HeldOut,
    PictureBatch,
    Pictures,
    chances,
    drawn_part,
    in_turn,
)
from evergrow.stream.pictures import PictureSource
from evergrow.stream.plan import Sample
from evergrow.train.objective import Loss

UNIT = "log loss a finding"
PROBLEM = "multi_label_classification"  # what transformers calls a sigmoid for each output
_UNCERTAIN = {"ignore": np.nan, "ones": 1.0, "zeros": 0.0}


def findings(given: Given) -> Objective:
    """Pictures with findings; raises InputError for those of which nothing can be learnt."""
    names = names_of(given)
    pictures, told = Pictures(given), _Told(given, names)
    targets = {
        stock.folder.name: targets_of(stock, "train", names, given.config)
        for stock in given.stocks.values()
    }

    def batch(samples: Sequence[Sample], numbers: range) -> PictureBatch:
        rows = [targets[sample.source][sample.item] for sample in samples]
        return pictures.batch(samples, numbers, torch.from_numpy(np.stack(rows)).float())

    return Objective(
        unit=UNIT,
        counted="pictures",
        num_items=lambda name: len(given.stocks[name]),
        first_model=lambda say: _first_model(given, pictures, names, say),
        refuse=lambda folder: _refuse_other_findings(folder, names),
        batch=batch,
        loss=findings_loss,
        measure=told.measure,
        show=told.show,
        probe=pictures.probe,
        save=pictures.save,
    )


def findings_loss(model: nn.Module, batch: PictureBatch, device: torch.device) -> Loss:
    """Binary cross-entropy, summed over what is known and divided by the number of findings.

    What is unknown weighs nothing (U-Ignore of Irvin et al. 2019), in the batch's weight neither.
    """
    assert batch.targets_NK is not None
    targets = batch.targets_NK.to(device)
    known = (~targets.isnan()).float()
    logits = model(model_input(model, batch.pixels_NCHW.to(device))).logits.float()
    errors = functional.binary_cross_entropy_with_logits(
        logits, targets.nan_to_num(), weight=known, reduction="sum"
    )
    total = errors / targets.shape[1]
    return Loss(total, {"log_loss": total})


def targets_of(
    source: PictureSource, part: Part, names: Sequence[str], config: FindingsConfig
) -> np.ndarray:
    """[N, K] of a part's pictures: 1, 0, or no number where it is unknown.

    What the source has no word for at all is unknown, whatever ``unmentioned`` says.
    """
    num, own = len(source.rows[part]["key"]), source.findings
    targets = np.full((num, len(names)), np.nan)
    if not own or not num:
        return targets
    values = np.array(source.rows[part]["findings"], dtype=np.float64)
    unmentioned = np.isnan(values)
    values[values == UNCERTAIN] = _UNCERTAIN[config.uncertain]
    if config.unmentioned == "zeros":
        values[unmentioned] = 0
    targets[:, [names.index(name) for name in own]] = values
    return targets


def names_of(given: Given) -> list[str]:
    """The findings that are told, in order: those asked for, or those of the sources.

    Raises InputError for a source without any or with another one, and for a finding that no
    training picture shows, or each of which it is known, unless it is asked for by name.
    """
    used = {name: given.stocks[name] for name in given.measured}
    for name, source in used.items():
        if not source.findings:
            raise InputError(
                f"sources.{name}: has no findings; name them under its findings, or set "
                "train.objective: {kind: classification} for pictures of one label"
            )
    asked = given.config.labels
    found = asked or list(dict.fromkeys(x for source in used.values() for x in source.findings))
    for name, source in used.items():
        if strange := [x for x in source.findings if x not in found]:
            raise InputError(
                f"sources.{name}: has the finding {strange[0]!r}, which is not among "
                f"train.objective.labels ({', '.join(found)}); add it"
            )
    num_present, num_known = _learnt_counts(given, found)
    for k, label in enumerate(found):
        if asked is None and not 0 < num_present[k] < num_known[k]:
            raise InputError(
                f"train.objective: of {num_known[k]} training pictures of which {label!r} is known "
                f"{num_present[k]} show it, so nothing tells when; leave it out of findings, set "
                "unmentioned: zeros, or list all under train.objective.labels"
            )
    return found


def _learnt_counts(given: Given, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """[K] of how many training pictures a finding is there, and is known."""
    learnt = [targets_of(given.stocks[name], "train", names, given.config) for name in given.learnt]
    whole = np.concatenate([*learnt, np.empty((0, len(names)))])
    return (whole == 1).sum(0), (~np.isnan(whole)).sum(0)


def _first_model(
    given: Given, pictures: Pictures, names: Sequence[str], say: Say
) -> PreTrainedModel:
    labels = Labels(list(names), given.config.labels is not None)
    model = vision_from_config(given.start, pictures.form, labels, given.seed, say)
    model.config.problem_type = PROBLEM
    return model


def _refuse_other_findings(folder: Path, names: list[str]) -> None:
    """Raise InputError when the model in ``folder`` tells other findings, or in another order."""
    known = labels_in(folder)
    if known is None or known == names:
        return
    raise InputError(
        f"{folder.parent}: its model tells the findings {', '.join(known)}, not "
        f"{', '.join(names)}, and its head cannot change; start a run of another name that lists "
        "all under train.objective.labels"
    )


@final
class _Told:
    """What a model says of findings in held-out pictures; uncertain ones are not measured."""

    def __init__(self, given: Given, names: Sequence[str]) -> None:
        self._given, self._names = given, names
        self._pictures = Pictures(given)
        self._measuring = given.config.model_copy(update={"uncertain": "ignore"})

    def measure(self, model: nn.Module, names: Collection[str], partial: bool) -> list[Measured]:
        """The mean log loss of what is known, beside that of each finding's share in training."""
        return [self._measured(model, name, partial) for name in names]

    def _measured(self, model: nn.Module, name: str, partial: bool) -> Measured:
        draw = (lambda keys: drawn_part(keys, self._given.part)) if partial else None
        held = self._pictures.measured(name, draw)
        truth, said = self._truth(name, held), chances(model, held)
        known = (~np.isnan(truth)).sum(1).astype(np.float64)
        if not known.any():
            raise InputError(
                f"sources.{name}: no finding is known of any picture that is measured; look at its "
                "split, or raise evaluate.part"
            )
        losses, prior = log_losses(said, truth), self._prior(name)
        floors = log_losses(np.broadcast_to(prior, truth.shape), truth)
        counts = ratio_interval(losses.sum(1), known, held.patients)
        bounds = {bound: counts.pop(bound) for bound in ("low", "high")}
        told = None if partial else told_findings(said, truth, self._names, prior, held.patients)
        return Measured(
            source=name,
            unit=UNIT,
            part=held.source.called(held.part),
            loss=float(losses.sum() / known.sum()),
            **bounds,
            floor=float(floors.sum() / known.sum()),
            counts={**counts, "num_known": int(known.sum())},
            told=told,
        )

    def _truth(self, name: str, held: HeldOut) -> np.ndarray:
        return targets_of(held.source, held.part, self._names, self._measuring)[held.items]

    def _prior(self, name: str) -> np.ndarray:
        """[K] the share that shows a finding of the source's training pictures, one added each.

        Of all that is held out where the source is only measured.
        """
        source = self._given.stocks[name]
        part: Part = "train" if len(source) else "held_out"
        targets = targets_of(source, part, self._names, self._given.config)
        counts = np.stack([(targets == value).sum(0) for value in (1, 0)])
        return np.array([prior_of(column)[0] for column in counts.T])

    def show(self, model: nn.Module, names: Collection[str], folder: Path) -> list[Shown]:
        """Pictures under the map of what is likelier in them than in most, rightly and wrongly."""
        if not self._given.sample_tokens:
            return []
        return [shown for name in names if (shown := self._sheet(model, name, folder)) is not None]

    def _sheet(self, model: nn.Module, name: str, folder: Path) -> Shown | None:
        held = self._pictures.shown(name)
        truth = self._truth(name, held)
        excess = np.where(np.isnan(truth), 0.0, chances(model, held) / self._prior(name))
        best = excess.argmax(1)
        is_there = truth[np.arange(len(best)), best] == 1
        told = [self._names[int(k)] for k in best]
        said = np.flatnonzero(excess.max(1) > 1)
        right, wrong = (
            in_turn([int(i) for i in said if is_there[i] == value], told)[:SHOWN]
            for value in (True, False)
        )
        if not (chosen := [*right, *wrong]):
            return None
        pixels = held.pixels(chosen)
        heat = grad_cam(model, pixels, [int(best[i]) for i in chosen])
        picture = f"{name}.png"
        cam_sheet(folder / picture, pixels, heat, len(right), SHOWN)
        cases = [
            Case.model_validate({"is": self._present(truth[i]), "told": told[i]}) for i in chosen
        ]
        return Shown(source=name, picture=picture, num_right=len(right), cases=cases)

    def _present(self, truth_K: np.ndarray) -> str:
        shown = [name for name, value in zip(self._names, truth_K, strict=True) if value == 1]
        return ", ".join(shown) or "nothing"
