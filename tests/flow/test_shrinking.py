"""On a model that was really trained, what does least on text is missed least."""

import sysconfig
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import torch
from flow.tiny import carry, run_of, tiny

from evergrow.flow.grow_folders import read_batches
from evergrow.grow.config import GrowConfig
from evergrow.grow.difference import Differences
from evergrow.grow.expand import grow_state
from evergrow.grow.folder import plan_of
from evergrow.grow.importance import Importance
from evergrow.grow.passes import Weighed, run
from evergrow.grow.shrink import Keep, choose, kept_by_text
from evergrow.grow.stored import open_folder

TOKENS = 100_000


def lost(release: Path, to: Any, keep: Keep, texts: Any) -> float:
    """Nats a token more than the source's loss, after shrinking."""
    source, sums = open_folder(release), Differences(words=True)
    _, plan = plan_of(source, GrowConfig(to=to), keep=keep)
    state = grow_state(plan, {name: source.read(name) for name in source.slots})
    whole = Weighed.of(source.config, source.slots, source.read)
    small = Weighed.of(plan.target, state, lambda name: state[name].clone())
    for batch in texts:
        outputs = (run(model, batch, torch.float32).outputs for model in (whole, small))
        sums.add(*outputs, batch.targets)
    found = sums.result()
    assert found.grown_loss is not None
    assert found.source_loss is not None
    return found.grown_loss - found.source_loss


def chance(seed: int, family: Any, before: Any, after: Any, order: Any) -> Any:
    draw = partial(torch.rand, generator=torch.Generator().manual_seed(seed))
    blocks = range(before["layers"])
    drawn = {axis: {b: draw(before[axis]) for b in blocks} for axis in ("heads", "ffn")}
    influence = {block: draw(1) for block in blocks}
    found = Importance(1, influence, {0: draw(before["hidden"])}, **drawn)
    return choose(found, before, after, order)


@pytest.mark.slow
def test_importance_loses_less_than_chance_on_three_seeds(tmp_path: Path) -> None:
    files = f"{sysconfig.get_paths()['stdlib']}/[a-m]*.py"
    changes: Any = {
        "seeds": [0, 1, 2],
        "model": {"preset": "llama", "hidden": 32, "layers": 4, "heads": 4, "ffn": 96},
        "schedule__peak_lr": 1e-2,
        "train__batch_size": 16,
        "sources": {"python": {"files": [files], "max_bytes": "600k"}},
        "stages": [{"name": "one", "data": "python", "tokens": TOKENS}],
        "evaluate__every": TOKENS,
        "checkpoints__every": TOKENS,
    }
    carried = carry(tiny(**changes), tmp_path, tmp_path)
    for seed in range(3):
        release = run_of(carried, f"main/seed-{seed}").folder / "releases" / "one"
        texts = read_batches(release, [files.replace("[a-m]", "[n-z]")])
        by_text = partial(kept_by_text, open_folder(release), texts[::2])
        for to in ({"ffn": 48}, {"layers": 3}):
            drawn = [lost(release, to, partial(chance, draw), texts[1::2]) for draw in range(4)]
            least = lost(release, to, by_text, texts[1::2])
            assert 0 < least <= min(drawn)
            assert least < 0.7 * fmean(drawn)
