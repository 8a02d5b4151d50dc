"""Shrinking by importance beside shrinking by chance, and what a short training wins back.

A small Llama learns the standard library's Python; it is shrunk along each axis and along all,
by what does least on text (as `evergrow grow apply` does) and three times by chance. Losses are
bits per byte of files that it was not trained on and that chose nothing.
"""

import argparse
import json
import math
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

import evergrow
from evergrow.flow.grow_folders import read_batches
from evergrow.grow.config import GrowConfig
from evergrow.grow.expand import grow_state
from evergrow.grow.fields import Sizes
from evergrow.grow.folder import grow_folder, plan_of
from evergrow.grow.importance import Importance
from evergrow.grow.passes import Batch
from evergrow.grow.shrink import Keep, Pruning, choose, kept_by_text
from evergrow.grow.stored import Stored, open_folder
from evergrow.listener import Listener
from evergrow.models.family import Family
from evergrow.models.load import empty_model

CUTS: dict[str, dict[str, int]] = {
    "2 of 6 layers": {"layers": 4},
    "half of the neurons": {"ffn": 80},
    "half of the heads": {"heads": 4, "kv_heads": 2},
    "a quarter of the width": {"hidden": 48},
    "all of it, and half of the neurons": {
        "layers": 4, "ffn": 80, "heads": 4, "kv_heads": 2, "hidden": 48
    },
}  # fmt: skip
WON_BACK = ("2 of 6 layers", "half of the neurons", "all of it, and half of the neurons")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--tokens", default="500k", help="of the source's training")
    parser.add_argument("--again", default="60k", help="of the training after shrinking")
    parser.add_argument("--peak-lr", type=float, default=1e-3, help="of that training")
    return parser.parse_args()


def train(runs: Path, learnt: Sequence[str], tokens: str, seed: int) -> Path:
    """The release of a Llama of 6 layers, 64 wide."""
    model = {"preset": "llama", "hidden": 64, "layers": 6, "heads": 8, "kv_heads": 4, "ffn": 160}
    recipe: dict[str, Any] = {
        "name": f"source-{seed}",
        "seeds": [seed],
        "sources": {"python": {"files": list(learnt), "max_bytes": "3M"}},
        "tokenizer": {"vocab_size": 512},
        "model": model,
        "train": {"sequence_length": 64, "batch_size": 16, "threads": 1},
        "schedule": {"kind": "infinite", "peak_lr": 3e-3, "anneal": {"fraction": 0.2}},
        "stages": [{"name": "python", "data": "python", "tokens": tokens}],
    }
    evergrow.run(recipe, runs=runs, listener=Listener())
    return next((runs / f"source-{seed}").rglob("releases/python"))


def by_chance(seed: int, family: Family, before: Sizes, after: Sizes, order: Any) -> Pruning:
    """Units and blocks drawn, in place of measured."""
    draw = partial(torch.rand, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    blocks = range(before["layers"])
    drawn = Importance(
        num_tokens=1,
        influence={block: draw(1) for block in blocks},
        hidden={0: draw(before["hidden"])},
        heads={block: draw(before["heads"]) for block in blocks},
        ffn={block: draw(before["ffn"]) for block in blocks},
    )
    return choose(drawn, before, after, order)


def shrunk(source: Stored, to: Any, keep: Keep) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The smaller model's config.json and weights."""
    _, plan = plan_of(source, GrowConfig(to=to), keep=keep)
    return plan.target, grow_state(plan, {name: source.read(name) for name in source.slots})


def whole(source: Stored) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """The model as it is."""
    return source.config, {name: source.read(name) for name in source.slots}


def bits(config: dict[str, Any], state: dict[str, Tensor], texts: Sequence[Batch]) -> float:
    """Bits per byte of ``texts``."""
    model = empty_model_of(config).eval()
    model.load_state_dict(state)
    lost, size = 0.0, 0
    with torch.no_grad():
        for batch in texts:
            assert batch.targets is not None
            logits = model(**batch.inputs).logits.flatten(0, 1)
            lost += float(F.cross_entropy(logits, batch.targets.flatten(), reduction="sum"))
            size += batch.num_bytes
    return lost / math.log(2) / size


def empty_model_of(config: dict[str, Any]) -> Any:
    """The architecture, its weights to be loaded."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(json.dumps(config))
        return empty_model(Path(folder))


@dataclass(frozen=True)
class Trial:
    """A source of one seed, in ``here``: half of ``texts`` choose, the others are measured."""

    seed: int
    here: Path
    release: Path
    learnt: Sequence[str]
    texts: Sequence[Batch]
    asked: argparse.Namespace

    def trained_on(self, folder: Path) -> float:
        """Bits per byte after a short training of the model in ``folder``."""
        runs = self.here / f"{folder.name}-runs"
        evergrow.continue_(
            folder,
            self.learnt,
            tokens=self.asked.again,
            name="again",
            peak_lr=self.asked.peak_lr,
            settings={"train.sequence_length": 64, "train.batch_size": 16, "train.threads": 1},
            runs=runs,
            listener=Listener(),
        )
        return self.bits(*whole(open_folder(next(runs.rglob("releases/again")))))

    def bits(self, config: dict[str, Any], state: dict[str, Tensor]) -> float:
        """Bits per byte of the texts that choose nothing."""
        return bits(config, state, self.texts[1::2])

    def compare(self, name: str, to: Any) -> None:
        """Print what one cut loses either way, and after some training."""
        source = open_folder(self.release)
        lost = self.bits(*shrunk(source, to, partial(kept_by_text, source, self.texts[::2])))
        draws = range(3 * self.seed, 3 * self.seed + 3)
        drawn = [self.bits(*shrunk(source, to, partial(by_chance, draw))) for draw in draws]
        again = "-"
        if name in WON_BACK:
            folder = self.here / "-".join(to)
            grow_folder(self.release, GrowConfig(to=to), folder, self.texts)
            again = f"{self.trained_on(folder):.3f}"
        print(
            f"  without {name:36} by importance {lost:.3f}, by chance {fmean(drawn):.3f} "
            f"({', '.join(f'{value:.3f}' for value in drawn)}), trained on {again}",
            flush=True,
        )


def main() -> None:
    asked = parse_arguments()
    files = sorted(str(p) for p in Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    learnt, other = files[: len(files) * 2 // 3], files[len(files) * 2 // 3 :]
    for seed in range(asked.first_seed, asked.first_seed + asked.seeds):
        with tempfile.TemporaryDirectory() as temporary:
            here = Path(temporary)
            release = train(here, learnt, asked.tokens, seed)
            trial = Trial(seed, here, release, learnt, read_batches(release, other), asked)
            print(
                f"seed {seed}: source {trial.bits(*whole(open_folder(release))):.3f} bits a byte, "
                f"trained on {trial.trained_on(release):.3f}"
            )
            for name, to in CUTS.items():
                trial.compare(name, to)


if __name__ == "__main__":
    main()
