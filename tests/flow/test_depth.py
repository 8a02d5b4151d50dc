"""Layers by depth in recipes: language models and pictures, branches, resumption, a real kill."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.tiny import PER_STEP, assert_same, carry, killed_at, run_of, tiny
from flow.tiny_pictures import PER_STEP as PICTURES
from flow.tiny_pictures import UNFREEZE, classifier
from safetensors.torch import load_file
from torch import Tensor

from evergrow.errors import InputError
from evergrow.flow.annealing import anneal
from evergrow.flow.verbs import extend
from evergrow.listener import Listener
from evergrow.models.families import FAMILIES
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.stage import checkpoints
from evergrow.stage.legs import _rate
from evergrow.stage.work import open_work

OPENING = {"unfreeze": {"head": 0, "-1": 0.3, "-2": 0.6}, "decay": 0.5, "clock": "since_opening"}
STAGE_TWO = "01-two-trunk-0000000"


def opening(**depth: Any) -> Recipe:
    """The tiny language model; its second stage, with replay, follows a plan of layers."""
    return tiny(stages__1__depth=depth or OPENING)


def weights(run: Run, place: str) -> dict[str, Tensor]:
    return load_file(run.folder / place / "model.safetensors")


def moved(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    """The groups of which a tensor changed."""
    group = FAMILIES["olmo2"].depth_of
    return {str(group(name)) for name in before if not torch.equal(before[name], after[name])}


@pytest.fixture(scope="module")
def opened(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_of(carry(opening(), tmp_path_factory.mktemp("opened"), base))


def test_a_language_model_opens_layer_by_layer_with_replay(opened: Run) -> None:
    start = weights(opened, "checkpoints/00-one-trunk-000000012")
    end = weights(opened, f"checkpoints/{STAGE_TWO}24")
    assert moved(start, end) == {"0", "1", "head"}
    assert moved(weights(opened, "releases/one"), weights(opened, "releases/two")) >= {"0", "1"}
    assert torch.equal(
        weights(opened, "releases/two")["model.embed_tokens.weight"],
        start["model.embed_tokens.weight"],
    )
    assert any(seen.replayed for seen in opened.manifest.stages[1].seen.values())


@pytest.mark.parametrize("call", [5, 6, 7])
def test_killed_while_its_layers_open_it_goes_on_to_the_same_bytes(
    call: int, opened: Run, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", call, after=True):
        carry(opening(), tmp_path, base)
    said: list[str] = []
    again = run_of(carry(opening(), tmp_path, base, Listener(say=said.append)))
    assert_same(again.folder, opened.folder)
    trains = {5: "1, head", 6: "1, head", 7: "0, 1, head"}[call]  # steps 4, 7 and 10 of 12
    assert said[-1].endswith(f"; trains {trains} of embed, 0, 1, head")


def test_on_the_branch_a_group_reads_its_own_place_in_the_schedule(opened: Run) -> None:
    """Open from .6 of 12 steps: at the fork (.75) its own clock stands at .375 of the trunk's."""
    work = open_work(opened.folder, 1, Listener(), fresh=False)
    work.writer.close()
    assert work.depth is not None
    record = work.record
    trunk, branch = _rate(work, record.schedule), _rate(work, record.release_schedule or [])
    found = work.depth.rates(22, branch)
    assert found["head"] == branch(22) < trunk(22)
    assert found["0"] == pytest.approx(0.25 * trunk(17))  # (10/12 - .6) / .4 of 12 steps, up
    assert work.depth.rates(24, branch)["0"] == pytest.approx(0.25 * branch(24))


def test_a_branch_on_request_trains_what_the_end_of_the_stage_trained(
    opened: Run, base: Path, tmp_path: Path
) -> None:
    run = run_of(carry(opening(unfreeze={"head": 0, "-1": 0.5}), tmp_path, base))
    release = anneal(run.folder, 3 * PER_STEP, "linear", 0.1, Listener())
    end = weights(run, f"checkpoints/{STAGE_TWO}24")
    assert moved(end, load_file(release / "model.safetensors")) == {"1", "head"}


def test_freezing_closes_a_language_model_from_the_bottom(base: Path, tmp_path: Path) -> None:
    run = run_of(carry(opening(freeze=0.3, freeze_shape="linear"), tmp_path, base))
    fork, end = (weights(run, f"checkpoints/{STAGE_TWO}{step}") for step in (21, 24))
    start = weights(run, "checkpoints/00-one-trunk-000000012")
    assert moved(start, fork) == {"embed", "0", "1", "head"}
    assert moved(fork, end) == {"1", "head"}  # from .75; the blocks stop at .53 and .77
    assert moved(fork, weights(run, "releases/two")) == {"1", "head"}
    with pytest.raises(InputError, match="'two' freezes all layers up to its end"):
        anneal(run.folder, 3 * PER_STEP, "linear", 0.1, Listener())


def test_rates_differ_by_depth_as_the_table_says(base: Path, tmp_path: Path) -> None:
    """Adam's first step is the rate itself, whatever the gradient."""
    recipe = tiny(
        stages=[
            {
                "name": "one",
                "data": "land",
                "tokens": PER_STEP,
                "depth": {"decay": 0.5, "rates": {"embed": 0.01}},
            }
        ],
        schedule={"kind": "constant", "peak_lr": 1e-2},
        train__optimizer__weight_decay=0,
        evaluate__every=0,
    )
    run = run_of(carry(recipe, tmp_path, base))
    work = open_work(run.folder, 0, Listener(), fresh=True)
    work.writer.close()
    before, after = work.model.state_dict(), weights(run, "releases/one")
    largest: dict[str, float] = {}
    for name, tensor in after.items():
        group = str(FAMILIES["olmo2"].depth_of(name))
        step = float((tensor - before[name]).abs().max())
        largest[group] = max(step, largest.get(group, 0.0))
    assert largest == pytest.approx({"head": 1e-2, "1": 5e-3, "0": 2.5e-3, "embed": 1e-4}, rel=0.01)


def test_a_stage_that_opens_layers_is_not_made_longer(opened: Run) -> None:
    with pytest.raises(InputError, match="'two' opens or freezes layers at shares of its length"):
        extend(opened.folder, PER_STEP, Listener())


def test_a_stage_of_fixed_rates_is_made_longer_to_the_same_bytes(
    base: Path, tmp_path: Path
) -> None:
    longer = tiny(stages__1__depth={"decay": 0.5}, stages__1__tokens=18 * PER_STEP)
    planned = run_of(carry(longer, tmp_path / "planned", base))
    run = run_of(carry(opening(decay=0.5), tmp_path, base))
    extended = run_of(extend(run.folder, 6 * PER_STEP, Listener()))
    release = [r.folder / "releases/two/model.safetensors" for r in (planned, extended)]
    assert release[0].read_bytes() == release[1].read_bytes()


def test_a_layer_that_opens_is_no_spike(tmp_path: Path) -> None:
    """Its gradient is many times the head's; the window is emptied, or steps would be skipped."""
    recipe = classifier(
        stages__0__images=190 * PICTURES,
        stages__0__depth={"unfreeze": {"head": 0, "-1": 0.75}},
        schedule={"kind": "constant", "peak_lr": 1e-3},
        model={"preset": "resnet", "hidden": 64, "layers": 3},
        evaluate__every=0,
    )
    lines = run_of(carry(recipe, tmp_path, tmp_path)).read("metrics")
    norms = [line["grad_norm"] for line in lines]
    assert max(norms[143:150]) > 5 * max(norms[130:142])
    assert not any(line["skipped"] for line in lines)


COMMAND = [sys.executable, "-c", "from evergrow.cli import main; main()", "run", "recipe.yaml"]


def started(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(COMMAND, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def killed_after(folder: Path, checkpoint: str) -> int:
    """Start, and ``kill -9`` as soon as ``checkpoint`` is there; what the process ended with."""
    with started(folder) as process:
        while process.poll() is None and not list(folder.glob(f"runs/*/*/*/{checkpoint}")):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        return process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("of", ["text", "pictures"])
def test_a_real_kill_in_the_middle_of_opening_leaves_the_same_bytes(
    of: str, base: Path, tmp_path: Path
) -> None:
    """Two kills of whole processes: after the first layer opened, and after the second."""
    unfreeze = {"head": 0, "-1": 0.35, "-2": 0.65}
    if of == "text":
        size, stage = PER_STEP, {"name": "one", "data": "land"}
        files = {"files": [str(base / "land/*.txt")], "max_epochs": 9}
        changes = {"sources__land": files, "sources__sea__files": [str(base / "sea/*.txt")]}
        recipe = tiny(**changes, stages=[{**stage, "tokens": 200 * size}])
    else:
        size, recipe = PICTURES, classifier(**UNFREEZE)
    stage, length = recipe.stages[0].name, "tokens" if of == "text" else "images"
    for path in ("whole", "killed"):
        (tmp_path / path).mkdir()
        data = recipe.to_data()
        data["stages"][0] |= {length: 200 * size, "depth": {"unfreeze": unfreeze}}
        data |= {"checkpoints": {"every": 20 * size}, "evaluate": {"every": 40 * size, "part": 500}}
        written = recipe.model_validate(data).to_yaml()
        (tmp_path / path / "recipe.yaml").write_text(written)
    assert started(tmp_path / "whole").wait() == 0
    for step in (80, 140):
        assert killed_after(tmp_path / "killed", f"00-{stage}-trunk-{step:09d}") == -9
    (killed,) = tmp_path.glob("killed/runs/*/main")
    left = max(mark.step for mark in checkpoints.marks(Run(killed)))
    assert 140 <= left < 200
    assert started(tmp_path / "killed").wait() == 0
    (whole,) = tmp_path.glob("whole/runs/*/main")
    assert_same(killed, whole)
