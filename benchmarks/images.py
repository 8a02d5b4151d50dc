"""Training on pictures beside a bare loop, and what frozen layers save on a ResNet-50.

    python benchmarks/images.py [--rounds 5] [--steps 40]

CPU time of one process, one thread; blocks in turn, each round starting with another contestant,
the first round to warm up. Needs the extra vision.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from evergrow.flow.recipes import plan
from evergrow.flow.units import unfold
from evergrow.listener import Listener
from evergrow.models.vision import PictureForm, resnet
from evergrow.objectives.patches import num_patches
from evergrow.objectives.picture import mask_noise
from evergrow.recipe import decode_recipe
from evergrow.stage.work import Work, open_work
from evergrow.train.config import DepthConfig
from evergrow.train.depth import DepthPlan
from evergrow.train.loop import Leg, train_until

GOAL = 0.97  # images a second, of a bare loop
RECIPE: dict[str, Any] = {
    "name": "speed",
    "sources": {"digits": {"pictures": "digits", "size": 28}},
    "model": {"preset": "vit_mae", "hidden": 96, "layers": 4, "heads": 3, "patch": 4},
    "train": {"batch_size": 64, "threads": 1, "log_every": 10},
    "schedule": {"kind": "constant", "peak_lr": 1e-3},
    "stages": [{"name": "digits", "data": "digits", "images": "640k"}],
}
PLANS = {
    "full": None,
    "head": DepthConfig(unfreeze={"head": 0}),
    "head and last stage": DepthConfig(unfreeze={"head": 0, "-1": 0}),
}


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=40)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    with TemporaryDirectory() as folder:
        works = [_work(Path(folder) / name) for name in ("evergrow", "bare")]
        contestants = {"evergrow": _ours(works[0]), "bare loop": _bare(works[1])}
        seconds = in_turn(contestants, asked.rounds, asked.steps)
        for work in works:
            work.writer.close()
    report_speed(seconds, asked.steps)
    report_freezing()


def in_turn(
    contestants: dict[str, Callable[[int], None]], rounds: int, steps: int
) -> dict[str, list[float]]:
    """CPU seconds of each contestant's blocks of ``steps``, without the first round's."""
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    for number in range(rounds + 1):
        for name in names[number % 2 :] + names[: number % 2]:
            started = time.process_time()
            contestants[name](steps)
            if number:
                seconds[name].append(time.process_time() - started)
    return seconds


def report_speed(seconds: dict[str, list[float]], steps: int) -> None:
    """Images a CPU second, and evergrow's share of the bare loop's, round by round."""
    images = steps * RECIPE["train"]["batch_size"]
    for name, found in seconds.items():
        print(f"{name:10} {images / statistics.median(found):8.1f} images per CPU-second")
    shares = [b / a for a, b in zip(seconds["evergrow"], seconds["bare loop"], strict=True)]
    middle = statistics.median(shares)
    verdict = "met" if middle >= GOAL else "MISSED"
    print(
        f"evergrow / bare loop: {middle:.3f} ({min(shares):.3f} to {max(shares):.3f}); "
        f"goal {GOAL}: {verdict}"
    )


def _work(runs: Path) -> Work:
    recipe = decode_recipe(RECIPE)
    units, listener = unfold(recipe), Listener()
    plan(units, recipe, runs, runs, listener)
    return open_work(runs / units[0].folder, 0, listener, fresh=True)


def _ours(work: Work) -> Callable[[int], None]:
    leg = Leg(work.objective.loss, work.batch_at, lambda step: 1e-3, 0)

    def run(steps: int) -> None:
        last = work.state.step + steps
        train_until(work.state, last, leg, work.train, lambda records, seconds: None)

    return run


def _bare(work: Work) -> Callable[[int], None]:
    """The same pictures, model, masks and AdamW in the fewest lines."""
    pixels = work.opened.stocks["digits"].pixels["train"]
    model: Any = work.model.train()
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, 1e-3, (0.9, 0.95), weight_decay=0.1, fused=True)
    batches = _batches(len(pixels), RECIPE["train"]["batch_size"])

    def run(steps: int) -> None:
        for _ in range(steps):
            items = next(batches)
            batch = torch.from_numpy(pixels[items].astype(np.float32) / 255)
            noise = mask_noise([int(i) for i in items], num_patches(model))
            model(batch, noise=noise).loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return run


def _batches(num_items: int, size: int) -> Iterator[np.ndarray]:
    draw = np.random.default_rng(0)
    while True:
        order = draw.permutation(num_items)
        yield from (order[i : i + size] for i in range(0, num_items - size + 1, size))


def report_freezing(batch_size: int = 4, repeats: int = 3) -> None:
    """CPU seconds a step of a ResNet-50 at 224 pixels, whole and with layers frozen."""
    model = resnet(PictureForm(224, 3), [256, 512, 1024, 2048], [3, 4, 6, 3], ["a", "b"], 0)
    pixels = torch.rand(batch_size, 3, 224, 224)
    found: dict[str, list[float]] = {name: [] for name in PLANS}
    for _ in range(repeats + 1):
        for name, config in PLANS.items():
            found[name].append(_step_seconds(model, config, pixels))
    full = statistics.median(found["full"][1:])
    for name, seconds in found.items():
        middle = statistics.median(seconds[1:])
        print(f"ResNet-50, 224 pixels, {name:20} {middle:.2f} CPU s a step, {full / middle:.2f}x")


def _step_seconds(model: Any, config: DepthConfig | None, pixels: torch.Tensor) -> float:
    depth = None if config is None else DepthPlan(model, config, 0, 1)
    groups: dict[str, list[torch.Tensor]] = {}
    for name, parameter in model.named_parameters():
        groups.setdefault("" if depth is None else depth.group_of(name), []).append(parameter)
    optimizer = torch.optim.AdamW(
        [{"params": p, "depth": g} for g, p in groups.items()], 1e-4, fused=True
    )
    model.train()
    started = time.process_time()
    with nullcontext() if depth is None else depth.during(optimizer, lambda step: 1e-4, 1):
        model(pixels).logits.pow(2).sum().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return time.process_time() - started


if __name__ == "__main__":
    main()
