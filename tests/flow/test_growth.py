"""The tiny recipe, its model made wider before the second stage."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.tiny import PER_STEP, assert_same, carry, killed_at, run_of, tiny
from safetensors.torch import load_file

from evergrow.errors import EvergrowError, InputError
from evergrow.flow.annealing import anneal
from evergrow.flow.dry import draw_plan
from evergrow.flow.verbs import continue_run, extend
from evergrow.listener import Listener
from evergrow.models.load import load_model
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.stage import checkpoints, growth
from evergrow.stage import legs as stage
from evergrow.stage.flops import counts_of
from evergrow.stage.summary import write_summary

WIDER = {"to": {"hidden": 32, "heads": 4}, "warm_steps": 4}


FAMILY = {"model__preset": "llama"}


def growing(**changes: Any) -> Recipe:
    return tiny(**FAMILY, stages__1__grow=WIDER, **changes)


@pytest.fixture(scope="module")
def plain(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same Run without growth."""
    return run_of(carry(tiny(**FAMILY), tmp_path_factory.mktemp("plain"), base)).folder


@pytest.fixture(scope="module")
def grown(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Run of the growing recipe, never interrupted."""
    return run_of(carry(growing(), tmp_path_factory.mktemp("grown"), base)).folder


def test_the_first_stage_cannot_grow() -> None:
    with pytest.raises(
        InputError, match=r"stage 'one' begins at the start and has no trunk to grow"
    ):
        tiny(stages__0__grow=WIDER)


def test_the_optimizer_is_spoken_of_once() -> None:
    with pytest.raises(InputError, match=r"grow.optimizer_state what becomes of the optimiser"):
        growing(stages__1__optimizer_state="reset")


def test_the_trunk_grows_and_the_loss_stays(grown: Path) -> None:
    run = Run(grown)
    sizes = [load_model(grown / str(s.release)).config.hidden_size for s in run.manifest.stages]
    assert sizes == [16, 32]
    counts = [counts_of(run.manifest, i).num_parameters for i in (0, 1)]
    weights = load_file(grown / "releases/two/model.safetensors")
    assert counts[1] == sum(t.numel() for t in weights.values()) > counts[0]
    loss = json.loads((grown / "growth/two/growth.json").read_text())["loss"]
    assert all(v["after"] == pytest.approx(v["before"], abs=1e-5) for v in loss.values())
    # measured again where the second stage begins, by the same documents
    first = {
        line["source"]: line["loss"]
        for line in run.read("evals")
        if (line["stage"], line["step"]) == ("two", 12)
    }
    assert {name: v["after"] for name, v in loss.items()} == first


def test_the_schedule_goes_on_where_it_was(grown: Path, plain: Path) -> None:
    rates = [
        [(m["step"], m["leg"], m["lr"]) for m in Run(f).read("metrics")] for f in (grown, plain)
    ]
    assert rates[0] == rates[1]


def test_the_first_stage_is_the_one_without_growth(grown: Path, plain: Path) -> None:
    name = "checkpoints/00-one-trunk-000000012/model.safetensors"
    assert (grown / name).read_bytes() == (plain / name).read_bytes()
    assert Run(grown).manifest.stages[0].key == Run(plain).manifest.stages[0].key
    assert Run(grown).manifest.stages[1].key != Run(plain).manifest.stages[1].key


KILLS: dict[str, tuple[Any, str, int, bool]] = {
    "before the architecture is written": (growth, "grow_state", 1, False),
    "before the birth is measured": (growth, "_losses_at_birth", 1, False),
    "after the birth is recorded": (stage, "grow", 1, True),
    "before the grown model's first checkpoint": (checkpoints, "save_checkpoint", 6, False),
    "after it": (checkpoints, "save_checkpoint", 6, True),
    "between its trunk and its anneal": (stage, "train_release", 2, False),
}


@pytest.mark.parametrize("kill", KILLS)
def test_killed_around_the_growth_it_gives_the_same_bytes(
    kill: str, base: Path, grown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, name, call, after = KILLS[kill]
    with killed_at(monkeypatch, where, name, call, after):
        carry(growing(), tmp_path, base)
    again = run_of(carry(growing(), tmp_path, base)).folder
    assert_same(again, grown)
    for file in ("config.json", "growth.json"):
        path = f"growth/two/{file}"
        assert (again / path).read_bytes() == (grown / path).read_bytes()


def test_block_expansion_trains_the_new_block_alone(base: Path, tmp_path: Path) -> None:
    grow = {"to": {"layers": 3}, "train": "new", "warm_steps": 4}
    run = run_of(carry(tiny(**FAMILY, stages__1__grow=grow), tmp_path, base))
    before = load_file(run.folder / "checkpoints/00-one-trunk-000000012/model.safetensors")
    after = load_file(run.folder / "checkpoints/01-two-trunk-000000024/model.safetensors")
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    new = after.keys() - before.keys()
    assert {name.split(".")[2] for name in new} == {"2"}
    assert all(after[n].abs().max() > 0 for n in new)  # o_proj and down_proj were 0
    line = next(line for line in run.read("evals") if line["stage"] == "two")
    assert line["step"] == 12


def test_what_trains_is_said_once_and_is_whole_blocks() -> None:
    new = {"to": {"layers": 3}, "train": "new"}
    with pytest.raises(InputError, match=r"grow\.train and depth both say which layers train"):
        tiny(**FAMILY, stages__1__grow=new, stages__1__depth={"unfreeze": {"head": 0}})
    with pytest.raises(InputError, match=r"hidden=32 puts new units into old ones"):
        tiny(**FAMILY, stages__1__grow={"to": {"layers": 3, "hidden": 32}, "train": "new"})


def test_new_parameters_start_slowly_and_old_ones_do_not(base: Path, tmp_path: Path) -> None:
    """One step after the growth, warming over 4 steps against not warming at all."""
    short = {"stages__1__tokens": PER_STEP, "schedule__anneal__fraction": 0.9}
    ends = []
    for warm_steps in (0, 4):
        recipe = tiny(**FAMILY, stages__1__grow={**WIDER, "warm_steps": warm_steps}, **short)
        run = run_of(carry(recipe, tmp_path / str(warm_steps), base))
        ends.append(load_file(run.checkpoints / "01-two-trunk-000000013" / "model.safetensors"))
    name = "model.layers.0.mlp.up_proj.weight"  # residual read by columns, two copies of each
    same = (ends[0][name] == ends[1][name]).all(dim=0)
    assert same.tolist() == [True] * 16 + [False] * 16


def test_an_exact_operator_that_is_not_stops_the_run(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = growth.grow_state

    def broken(plan: Any, tensors: Any) -> dict[str, torch.Tensor]:
        made = real(plan, tensors)
        return {**made, "model.norm.weight": 1.5 * made["model.norm.weight"]}

    monkeypatch.setattr(growth, "grow_state", broken)
    with pytest.raises(EvergrowError, match=r"exact"):
        carry(growing(), tmp_path, base)
    assert Run(tmp_path / "tiny/main").manifest.status == "failed"


def test_arms_share_the_stage_before_the_growth_and_the_grown_stage(
    base: Path, grown: Path, tmp_path: Path
) -> None:
    arms = {
        "plain": {},
        "grown": {"stages.1.grow": WIDER},
        "again": {"stages.1.grow": WIDER, "description": "the same"},
    }
    carried = carry(tiny(**FAMILY, arms=arms), tmp_path, base)
    stages = Run(carried.folder / "again").manifest.stages
    assert [s.shared_with for s in stages] == ["../plain", "../grown"]
    assert stages[1].model == Run(grown).manifest.stages[1].model
    assert_same_growth = (carried.folder / "again/growth/two/growth.json").read_bytes()
    assert assert_same_growth == (carried.folder / "grown/growth/two/growth.json").read_bytes()
    arms_found = write_summary(carried.folder, "done").arms
    assert arms_found["again"].flops == arms_found["grown"].flops


def test_flops_are_those_of_each_stages_own_model(grown: Path) -> None:
    numbers = write_summary(grown.parent, "done").arms["main"]
    costs = [counts_of(Run(grown).manifest, i).flops_per_token for i in (0, 1)]
    assert costs[1] > 2 * costs[0]
    assert numbers.flops == 12 * PER_STEP * sum(costs)
    assert numbers.flops_total == 15 * PER_STEP * sum(costs)  # each releases from step 9 of 12


def test_verbs_go_on_with_the_grown_model(base: Path, tmp_path: Path) -> None:
    run = run_of(carry(growing(), tmp_path, base)).folder
    released = anneal(run, 2 * PER_STEP, "linear", 0.1, Listener())
    assert load_model(released).config.hidden_size == 32
    extended = run_of(extend(run, 4 * PER_STEP, Listener()))
    assert extended.manifest.stages[1].num_steps == 16
    continue_run(
        run, [str(base / "sky/*.txt")], 4 * PER_STEP, "three", Listener(),
        {"grow.to.ffn": 96, "grow.warm_steps": 2},
    )  # fmt: skip
    again = Run(run).manifest.stages[2]
    assert load_model(run / str(again.release)).config.intermediate_size == 96


def test_sub_models_first_then_the_whole_and_fewer_operations(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = growing(stages__1__two_stage={"layers": 1, "fraction": 0.5})
    run = run_of(carry(recipe, tmp_path / "whole", base))
    costs = counts_of(run.manifest, 1).sub_models
    assert sorted(costs) == [1, 2]
    numbers = write_summary(run.folder.parent, "done").arms["main"]
    first, second = (counts_of(run.manifest, i).flops_per_token for i in (0, 1))
    saved = 12 * PER_STEP * (first + second) - (numbers.flops or 0)
    single, top = (second - costs[depth] for depth in (1, 2))
    assert saved in {PER_STEP * (n * single + (6 - n) * top) for n in range(7)}
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 6, after=True):
        carry(recipe, tmp_path / "killed", base)
    assert_same(run_of(carry(recipe, tmp_path / "killed", base)).folder, run.folder)


def test_a_dry_run_says_what_the_growth_will_be(base: Path) -> None:
    plan = draw_plan(growing(), base, Listener())
    one, two = plan.arms[0].stages
    assert one.growth == () and plan.num_parameters == one.num_parameters < two.num_parameters
    verdicts = {v.axis: (v.before, v.after, v.exactness) for v in two.growth}
    assert verdicts["hidden"] == (16, 32, "exact")
    assert two.flops > 2 * one.flops
