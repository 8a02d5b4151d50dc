import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.tiny import (
    assert_same,
    carry,
    killed_at,
    run_of,
    sky,
    tiny,
    trunk,
)
from train.trainer_checkpoint import save_weights, trained_by_trainer

from evergrow.errors import InputError
from evergrow.flow.asked import Mix
from evergrow.flow.first_stage import continue_model
from evergrow.flow.verbs import extend
from evergrow.listener import Listener
from evergrow.models.load import load_model
from evergrow.recipe import load_recipe
from evergrow.run import Run, load_checkpoint
from evergrow.stage import checkpoints
from evergrow.stage.work import open_work
from evergrow.train.trainer import OPTIMIZER, SCHEDULER, STATE

SMALL = {"held_out.tokens": 500, "schedule.peak_lr": 1e-3, "train.threads": 1}


def test_continue_a_model_from_elsewhere(base: Path, model: Path, tmp_path: Path) -> None:
    old = [str(base / "land" / "*.txt")]
    tokens = 6 * 8 * 32
    carried = continue_model(
        str(model), sky(base), tokens, "mine", tmp_path / "runs", Listener(), SMALL, old
    )
    numbers = carried.summary.arms["main"]
    assert carried.summary.streams == ["mine"]
    before, after = numbers.extra["old"]
    assert before != after
    first, last = numbers.before[0], numbers.loss_matrix[0][0]
    assert first is not None and last is not None and first > last
    run = run_of(carried)
    assert run.manifest.model["source"] == str(model)
    assert load_model(run.folder / "releases" / "mine").config.hidden_size == 16
    shutil.rmtree(model)  # the Run is complete without it
    longer = run_of(extend(carried.folder, tokens, Listener()))
    assert longer.manifest.stages[0].tokens == 2 * tokens


def test_a_model_without_a_peak_rate_is_refused(base: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give --peak-lr: a finished model does not say at which"):
        continue_model(str(model), sky(base), 999, "mine", tmp_path, Listener(), {})


def test_killed_while_a_model_is_continued(
    base: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go(runs: Path) -> Run:
        return run_of(
            continue_model(str(model), sky(base), 8 * 256, "mine", runs, Listener(), SMALL)
        )

    whole = go(tmp_path / "whole")
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 3, after=True):
        go(tmp_path / "killed")
    assert_same(go(tmp_path / "killed").folder, whole.folder)


def test_general_files_are_mixed_in_and_measured(base: Path, model: Path, tmp_path: Path) -> None:
    mix = Mix([str(base / "land" / "*.txt")], 0.25)
    tokens = 8 * 8 * 32
    carried = continue_model(
        str(model), sky(base), tokens, "mine", tmp_path, Listener(), SMALL, mix=mix
    )
    record = run_of(carried).manifest.stages[0]
    seen = {key.rsplit("-", 1)[0]: found.last for key, found in record.seen.items()}
    assert seen == {"mine": 48, "general": 16}
    assert carried.summary.streams == ["mine"]
    before, after = carried.summary.arms["main"].extra["general"]
    assert before > after > 0


@pytest.mark.parametrize("name", ["old", "General"])
def test_a_users_name_is_no_name_of_our_own(
    name: str, base: Path, model: Path, tmp_path: Path
) -> None:
    """What is asked to be only measured is never trained on."""
    carried = continue_model(
        str(model),
        [str(base / "sky" / "0*.txt")],
        4 * 8 * 32,
        name,
        tmp_path,
        Listener(),
        SMALL,
        evaluate=[str(base / "land" / "*.txt")],
        mix=Mix([str(base / "sky" / "1*.txt")], 0.5),
    )
    recipe = carried.folder / "recipe.yaml"
    sources = load_recipe(recipe).sources
    own, other = {"old": ("old_", "general"), "General": ("old", "general_")}[name]
    assert list(sources) == [name, other, own]
    read = run_of(carried).manifest.stages[0].seen
    assert {key.rsplit("-", 1)[0] for key in read} == {name, other}


def go_on(model: Path, base: Path, runs: Path, said: list[str], **settings: Any) -> Run:
    asked = {"held_out.tokens": 500, "train.threads": 1, **settings}
    listener = Listener(say=said.append)
    return run_of(continue_model(str(model), sky(base), 4 * 8 * 32, "mine", runs, listener, asked))


def test_a_trainer_checkpoint_goes_on_with_its_moments_and_rate(
    base: Path, model: Path, tmp_path: Path
) -> None:
    trained_by_trainer(model, load_model(model))
    said: list[str] = []
    run = go_on(model, base, tmp_path / "runs", said)
    assert "model: Trainer's moments are used, with its betas 0.9 and 0.999 and decay 0.05" in said
    assert "model: peak rate 0.0005, Trainer's after step 3" in said
    assert any("restored weights and optimiser of" in line for line in said)
    steps = trunk(run)
    assert run.manifest.stages[0].schedule[0]["from_lr"] == 5e-4  # and cools from there
    end = max(checkpoints.marks(run))
    moments = load_checkpoint(run.checkpoints / end.name)["optimizer"]
    assert {float(moments[name]) for name in moments if name.startswith("step.")} == {3 + 4}
    assert not [f for f in (run.folder / "releases" / "mine").iterdir() if f.suffix == ".pt"]
    fresh = go_on(model, base, tmp_path / "fresh", [], **{"stages.0.optimizer_state": "reset"})
    assert trunk(fresh)[0]["loss"] == steps[0]["loss"]
    assert trunk(fresh)[1]["loss"] != steps[1]["loss"]


def test_the_first_step_after_a_trainer_is_the_one_that_it_would_have_made(
    base: Path, model: Path, tmp_path: Path
) -> None:
    """Against torch's AdamW that trained it, at the same rate, on the same batch."""
    start = load_model(model)
    optimizer = trained_by_trainer(model, start)
    save_weights(start, model)
    settings = {"schedule.kind": "constant", "train.clip_norm": 1e9, "stages.0.tokens": 8 * 32}
    run = go_on(model, base, tmp_path / "runs", [], **settings)
    work = open_work(run.folder, 0, Listener(), fresh=True)
    total, _ = work.objective.loss(start, batch := work.batch_at(1), torch.device("cpu"))
    (total / batch.weight).backward()
    table = start.get_input_embeddings().weight
    optimizer.param_groups[0]["params"] = [
        p for p in optimizer.param_groups[0]["params"] if p is not table
    ]
    optimizer.param_groups[1]["weight_decay"] = 0.05  # here norms decay, and the table does not
    optimizer.add_param_group({"params": [table], "weight_decay": 0.0})
    for group in optimizer.param_groups:
        group["lr"] = 5e-4
    optimizer.step()
    after = load_checkpoint(run.checkpoints / "00-mine-trunk-000000001")["model"]
    for name, parameter in start.named_parameters():
        torch.testing.assert_close(after[name], parameter.detach(), rtol=1e-5, atol=1e-7)


def test_what_a_trainer_left_that_does_not_fit_is_said(
    base: Path, model: Path, tmp_path: Path
) -> None:
    trained_by_trainer(model, load_model(model))
    (model / OPTIMIZER).write_bytes(b"moments of another program")
    said: list[str] = []
    run = go_on(model, base, tmp_path / "runs", said)
    assert any("is no file of AdamW's state" in s and "begins anew" in s for s in said)
    assert max(step["lr"] for step in trunk(run)) == pytest.approx(5e-4)
    (model / SCHEDULER).unlink()
    state = {"global_step": 9, "log_history": [{"learning_rate": 1e-3}, {"learning_rate": 0.0}]}
    (model / STATE).write_text(json.dumps(state))
    said.clear()
    with pytest.raises(InputError, match="give --peak-lr"):
        go_on(model, base, tmp_path / "other", said)
    assert any("had run down from 0.001 to 0 at step 9, which is none to go on" in s for s in said)


def test_moments_that_a_recipe_asks_for_and_are_not_there_are_refused_early(
    base: Path, model: Path, tmp_path: Path
) -> None:
    recipe = tiny(model={"from": str(model), "optimizer": "trainer"}, tokenizer=None, name="child")
    with pytest.raises(InputError, match=r"holds no optimizer.pt, so there are no moments"):
        carry(recipe, tmp_path, base)
    assert [path.name for path in (tmp_path / "child").iterdir()] == [".lock"]
    trained_by_trainer(model, load_model(model))
    run = run_of(carry(recipe, tmp_path, base))
    (model / OPTIMIZER).write_bytes(b"other")
    with pytest.raises(InputError, match="weights, configuration, tokenizer or moments"):
        carry(recipe, tmp_path, base)
    assert run.manifest.status == "done"


def test_a_release_as_a_model_says_what_stays_behind_and_takes_no_other_runs_place(
    base: Path, whole: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    lived = Path(shutil.copytree(whole.parent, tmp_path / "lived" / "tiny"))
    release = lived / "main" / "releases" / "two"
    few: dict[str, Any] = {"held_out.tokens": 500, "schedule.peak_lr": 1e-3}
    window: dict[str, Any] = {"train.sequence_length": 32, "train.batch_size": 4}

    def begin(model: Path, rate: float = 1e-3) -> None:
        changes = {**few, **window, "schedule.peak_lr": rate}
        listener = Listener(say=said.append)
        continue_model(
            str(model), [str(base / "sky" / "*.txt")], 512, "sky", tmp_path, listener, changes
        )

    begin(release)
    assert said[0].startswith(f"{release} is a release and begins a run of its own: the trunk that")
    assert said[0].endswith(f"stays behind; to go on with that: evergrow continue {lived}/main")
    with pytest.raises(InputError, match=rf"{tmp_path}/sky exists, made of another model"):
        begin(release, 2e-3)
    said.clear()
    begin(release)  # the same once more: done already
    copy = tmp_path / "copy"
    shutil.copytree(release, copy)
    with pytest.raises(InputError, match="sky exists, made of another model"):
        begin(copy)
    assert said[-1].endswith("stays behind in the run tiny, main, seed 0")
