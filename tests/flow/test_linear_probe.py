"""A head alone on frozen layers: the same as one on features that were computed once."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flow.tiny import carry, run_of, scores_at
from flow.tiny_pictures import PER_STEP, classifier
from torch import Tensor, nn
from torch.nn import functional

from evergrow.evals.pictures import features, linear_probe
from evergrow.listener import Listener
from evergrow.models.load import load_model
from evergrow.run import Run
from evergrow.stage.work import open_work

STEPS = 40
MODELS: dict[str, dict[str, Any]] = {
    "resnet": {"preset": "resnet", "hidden": 16, "layers": 2},
    "vit": {"preset": "vit", "hidden": 16, "layers": 2, "heads": 2, "patch": 4},
}
HEADS = {"resnet": ["classifier.1"], "vit": ["vit.layernorm", "classifier"]}  # with its last norm


def probed(kind: str, folder: Path) -> tuple[Run, nn.Module, list[Any]]:
    """A run that trained a head alone, its first model and the batches it read."""
    recipe = classifier(
        model=MODELS[kind],
        stages__0__images=STEPS * PER_STEP,
        stages__0__depth={"unfreeze": {"head": 0}},
        schedule={"kind": "constant", "peak_lr": 1e-2},
        evaluate__every=0,
    )
    run = run_of(carry(recipe, folder, folder))
    work = open_work(run.folder, 0, Listener(), fresh=True)
    work.writer.close()
    return run, work.model, [work.batch_at(step) for step in range(1, STEPS + 1)]


def below_the_head(model: nn.Module, kind: str, pixels: Tensor) -> Tensor:
    """What the head reads: pooled maps, or the class token before the last norm."""
    kept: list[Tensor] = []
    module = model.get_submodule(HEADS[kind][0])
    handle = module.register_forward_pre_hook(lambda _, inputs: kept.append(inputs[0]))
    with torch.no_grad():
        model.eval()(pixels)
    handle.remove()
    return kept[0] if kind == "resnet" else kept[0][:, 0]


@pytest.mark.parametrize("kind", MODELS)
def test_a_head_alone_learns_as_it_does_on_cached_features(kind: str, tmp_path: Path) -> None:
    run, first, batches = probed(kind, tmp_path)
    head = nn.Sequential(*(copy.deepcopy(first.get_submodule(name)) for name in HEADS[kind]))
    maps = {id(part.weight) for part in head if isinstance(part, nn.Linear)}
    decayed = [p for p in head.parameters() if id(p) in maps]
    spared = [p for p in head.parameters() if id(p) not in maps]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": spared, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, 1e-2, (0.9, 0.95), 1e-8)
    cached = [below_the_head(first, kind, batch.pixels_NCHW) for batch in batches]
    for features_ND, batch in zip(cached, batches, strict=True):
        functional.cross_entropy(head(features_ND), batch.targets_NK).backward()
        nn.utils.clip_grad_norm_(head.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    last: Any = load_model(run.folder / "releases" / "all")
    for own, name in zip(head, HEADS[kind], strict=True):
        learnt, start = (dict(m.get_submodule(name).named_parameters()) for m in (last, first))
        for part, parameter in own.named_parameters():
            assert (learnt[part] - parameter).abs().max() < 1e-5
            assert (learnt[part] - start[part]).abs().max() > 0.05
    pixels = batches[0].pixels_NCHW
    assert torch.equal(below_the_head(first, kind, pixels), below_the_head(last, kind, pixels))


def test_a_probe_on_features_cached_before_says_what_one_after_says(tmp_path: Path) -> None:
    run, first, batches = probed("resnet", tmp_path)
    last = load_model(run.folder / "releases" / "all")
    pixels = torch.cat([batch.pixels_NCHW for batch in batches[:8]])
    labels = [str(n % 3) for n in range(len(pixels))]
    cached = features(first, pixels)
    fresh = np.concatenate([features(last, picture[None]) for picture in pixels])
    one, two = (linear_probe(x, labels, x)[1] for x in (cached, fresh))
    assert np.abs(one - two).max() < 1e-5
    found = {
        stage: [
            (p.probe, p.accuracy)
            for score in scores_at(run, stage)
            for p in score.probes
            if p.features == "model"
        ]
        for stage in (None, "all")
    }
    assert found[None] == found["all"] and len(found["all"]) == 2
