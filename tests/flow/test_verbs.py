import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from flow.tiny import (
    PER_STEP,
    assert_same,
    carry,
    contents,
    killed_at,
    losses_at,
    run_of,
    tiny,
)

from evergrow.errors import InputError, Stopped
from evergrow.flow import verbs
from evergrow.flow.verbs import anneal, continue_model, continue_run, extend
from evergrow.lineage import read_node
from evergrow.listener import Listener, Progress
from evergrow.models.config import ModelConfig
from evergrow.models.load import load_model
from evergrow.models.presets import from_scratch
from evergrow.models.save import save_release
from evergrow.run import Run
from evergrow.stage import checkpoints
from evergrow.stage.records import Evaluation, read_lines
from evergrow.stream.tokenizer import load_tokenizer

COSINE = {"kind": "cosine", "peak_lr": 3e-3}


@pytest.fixture
def lived(whole: Path, tmp_path: Path) -> Path:
    """A copy of the finished recipe's folder, to be carried on."""
    return Path(shutil.copytree(whole.parent, tmp_path / "lived" / "tiny"))


def trunk(run: Run) -> list[dict[str, Any]]:
    return [m for m in run.read("metrics") if m["leg"] == "trunk"]


def release(run: Run, name: str) -> bytes:
    return (run.folder / "releases" / name / "model.safetensors").read_bytes()


@pytest.mark.parametrize("more", [2, 12], ids=["fork before the old end", "fork beyond it"])
def test_extend_equals_a_run_planned_at_that_length(
    more: int, base: Path, lived: Path, tmp_path: Path
) -> None:
    planned = run_of(carry(tiny(stages__1__tokens=(12 + more) * PER_STEP), tmp_path, base))
    extended = run_of(extend(lived / "main", more * PER_STEP, Listener()))
    assert release(extended, "two") == release(planned, "two")
    for record in ("metrics.jsonl", "evals.jsonl"):
        assert (extended.folder / record).read_bytes() == (planned.folder / record).read_bytes()
    assert extended.manifest.stages == planned.manifest.stages


@pytest.mark.parametrize("more", [2, 12])
def test_a_pruned_run_can_still_be_extended(
    more: int, base: Path, lived: Path, tmp_path: Path
) -> None:
    from evergrow.flow.look import prune

    planned = run_of(carry(tiny(stages__1__tokens=(12 + more) * PER_STEP), tmp_path, base))
    prune(lived, dry=False)
    assert release(run_of(extend(lived, more * PER_STEP, Listener())), "two") == release(
        planned, "two"
    )


def test_extend_whose_way_back_was_deleted_is_refused_and_changes_nothing(lived: Path) -> None:
    run = Run(lived / "main")
    for mark in checkpoints.marks(run):
        if (mark.index, mark.step) != (1, 24):
            shutil.rmtree(run.checkpoints / mark.name)
    before = contents(run.folder)
    with pytest.raises(InputError, match="two cannot be made longer, because its release would"):
        extend(lived, 2 * PER_STEP, Listener())
    assert contents(run.folder) == before
    assert run_of(extend(lived, 12 * PER_STEP, Listener())).manifest.status == "done"


def test_extend_interrupted_inside_the_old_anneal_trains_the_new_trunk(
    base: Path, whole: Path, tmp_path: Path
) -> None:
    """Its anneal's checkpoints belong to the old fork."""

    def stop(progress: Progress) -> None:
        if (progress.stage, progress.leg) == ("two", "anneal"):
            listener.stop.signal = 15

    listener = Listener(progress=stop)
    with pytest.raises(Stopped):
        carry(tiny(), tmp_path, base, listener)
    longer = tiny(stages__1__tokens=24 * PER_STEP)
    grown = run_of(carry(longer, tmp_path, base))
    planned = run_of(carry(longer, tmp_path / "planned", base))
    assert_same(grown.folder, planned.folder)


def test_a_cosine_cannot_be_extended(base: Path, tmp_path: Path) -> None:
    carried = carry(tiny(schedule=COSINE), tmp_path, base)
    before = contents(carried.folder / "main")
    with pytest.raises(InputError) as refused:
        extend(carried.folder, PER_STEP, Listener())
    assert str(refused.value) == (
        "a cosine is planned to its end and cannot be made longer; "
        "continue with a new stage, or use an infinite schedule"
    )
    assert contents(carried.folder / "main") == before


def test_running_the_recipe_again_keeps_an_extension(base: Path, lived: Path) -> None:
    extended = run_of(extend(lived, 4 * PER_STEP, Listener()))
    before = contents(extended.folder)
    carry(tiny(), lived.parent, base)
    assert contents(extended.folder) == before


def test_an_unfinished_stage_is_not_annealed(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 7):
        carry(tiny(), tmp_path, base)
    with pytest.raises(InputError, match="two is not finished; run the recipe again"):
        anneal(tmp_path / "tiny", PER_STEP, "linear", 0.1, Listener())


def test_the_same_extend_again_finishes_what_was_stopped(
    lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 2):
        extend(lived, 6 * PER_STEP, Listener())
    assert Run(lived / "main").manifest.stages[-1].status != "done"
    extend(lived, 6 * PER_STEP, Listener(say=said.append))
    last = Run(lived / "main").manifest.stages[-1]
    assert (last.status, last.num_steps) == ("done", 12 + 6)
    assert said[0] == "two goes on to the end it had; nothing is added to it"


def sky(base: Path) -> list[str]:
    return [str(base / "sky" / "*.txt")]


def test_a_release_as_a_model_says_what_stays_behind_and_takes_no_other_runs_place(
    base: Path, lived: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    release = lived / "main" / "releases" / "two"
    few: dict[str, Any] = {"held_out.tokens": 500, "schedule.peak_lr": 1e-3}
    window: dict[str, Any] = {"train.sequence_length": 32, "train.batch_size": 4}

    def begin(model: Path, rate: float = 1e-3) -> None:
        changes = {**few, **window, "schedule.peak_lr": rate}
        listener = Listener(say=said.append)
        continue_model(str(model), sky(base), 512, "sky", tmp_path, listener, changes)

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


def test_continue_starts_the_new_source_at_its_beginning_and_measures_the_past(
    base: Path, whole: Path, lived: Path
) -> None:
    carried = continue_run(lived, sky(base), 12 * PER_STEP, "three", Listener())
    run = run_of(carried)
    old, new = Run(whole).manifest.stages, run.manifest.stages
    assert new[:2] == old
    sources = {key.rsplit("-", 1)[0]: seen for key, seen in new[2].seen.items()}
    assert (sources["three"].first, sources["three"].last) == (0, 36)  # of 48, a quarter replayed
    assert sum(seen.replayed for seen in sources.values()) == 12
    matrix = carried.summary.arms["main"].loss_matrix
    assert [len(row) for row in matrix] == [3, 3, 3]
    assert None not in [loss for row in matrix for loss in row]
    assert None not in carried.summary.arms["main"].before
    assert trunk(run)[:24] == trunk(Run(whole))
    assert release(run, "two") == release(Run(whole), "two")


def test_running_the_old_recipe_again_keeps_the_continued_stage(base: Path, lived: Path) -> None:
    continue_run(lived, sky(base), 6 * PER_STEP, "three", Listener())
    before = contents(lived / "main")
    carried = carry(tiny(), lived.parent, base)
    assert contents(lived / "main") == before
    assert carried.summary.streams == ["one", "two", "three"]


@pytest.mark.parametrize("again", ["the verb", "the recipe"])
def test_continue_killed_and_given_again_gives_the_same_bytes(
    again: str, base: Path, lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(lived, tmp_path / "other" / "tiny"))
    continue_run(other, sky(base), 8 * PER_STEP, "three", Listener())
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 2, after=True):
        continue_run(lived, sky(base), 8 * PER_STEP, "three", Listener())
    if again == "the verb":
        continue_run(lived, sky(base), 8 * PER_STEP, "three", Listener())
    else:
        carry(tiny(), lived.parent, base)
    assert_same(lived / "main", other / "main")


def test_arms_continued_with_different_data_run_again(base: Path, tmp_path: Path) -> None:
    recipe = tiny(arms={"a": {}, "b": {"replay.fraction": 0.5}})
    carried = carry(recipe, tmp_path, base)
    continue_run(carried.folder / "b", sky(base), 4 * PER_STEP, "later", Listener())
    more = [str(base / "sea" / "*.txt"), str(base / "sky" / "0*.txt")]
    continue_run(carried.folder / "a", more, 4 * PER_STEP, "other", Listener())
    before = {arm: contents(carried.folder / arm) for arm in ("a", "b")}
    carry(recipe, tmp_path, base)
    assert {arm: contents(carried.folder / arm) for arm in ("a", "b")} == before


@pytest.mark.parametrize("name", ["two", "sea"])
def test_continue_with_a_taken_name_is_refused(name: str, base: Path, lived: Path) -> None:
    with pytest.raises(InputError, match=f"{name}: this run already has one, two; give the new"):
        continue_run(lived, sky(base), PER_STEP, name, Listener())


def test_anneal_leaves_the_trunk_alone_and_reads_what_comes_next(
    base: Path, whole: Path, lived: Path
) -> None:
    made = anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())
    assert made.name == f"two-anneal-{4 * PER_STEP}"
    assert load_model(made).config.hidden_size == 16
    run = Run(lived / "main")
    node = read_node(made)
    assert node is not None and sum(node.fed.values()) == node.details["passed"] == 28 * PER_STEP
    branch = [m for m in run.read("metrics") if m["leg"] == "branch"]
    assert [m["step"] for m in branch] == [25, 26, 27, 28]
    assert branch[-1]["lr"] == pytest.approx(3e-4)
    assert trunk(run) == trunk(Run(whole))
    extended = run_of(extend(lived, 12 * PER_STEP, Listener()))
    after = [m for m in trunk(extended) if m["step"] == 25]
    assert after[0]["loss"] == branch[0]["loss"]  # the same samples on the same weights
    assert load_model(made).config.hidden_size == 16


def test_anneal_reads_no_source_more_often_than_it_allows(base: Path, tmp_path: Path) -> None:
    recipe = tiny(sources__sea__max_epochs=1.0)
    run = run_of(carry(recipe, tmp_path, base))
    folder, seen = next(iter(run.manifest.stages[1].seen.items()))
    rest = round((seen.last - seen.first) / seen.epochs) - seen.last  # windows of one epoch left
    before = contents(run.folder)
    with pytest.raises(InputError, match=f"would read {folder} 1.* max_epochs 1; give it more"):
        anneal(run.folder, (rest // 3 + 4) * PER_STEP, "linear", 0.1, Listener())
    assert contents(run.folder) == before
    anneal(run.folder, 2 * PER_STEP, "linear", 0.1, Listener())


def test_anneal_twice_is_refused_and_continue_after_it_works(base: Path, lived: Path) -> None:
    anneal(lived, 2 * PER_STEP, "linear", 0.1, Listener())
    with pytest.raises(InputError, match="made before; choose another number of tokens"):
        anneal(lived, 2 * PER_STEP, "cosine", 0.1, Listener())
    before = Run(lived / "main").read("metrics")
    run = run_of(continue_run(lived, sky(base), 4 * PER_STEP, "three", Listener()))
    assert run.read("metrics")[: len(before)] == before
    assert [b.name for b in run.manifest.branches] == [f"two-anneal-{2 * PER_STEP}"]


@pytest.mark.parametrize("shape", ["linear", "cosine"])
def test_anneal_killed_and_given_again(
    shape: Any, lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same again goes on; another shape must not go on from the first one's checkpoint."""
    other = Path(shutil.copytree(lived, tmp_path / "other" / "tiny"))
    anneal(other, 9 * PER_STEP, shape, 0.1, Listener())
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 2, after=True):
        anneal(lived, 9 * PER_STEP, "linear", 0.1, Listener())
    anneal(lived, 9 * PER_STEP, shape, 0.1, Listener())
    assert_same(lived / "main", other / "main")


def test_anneal_killed_after_its_release_is_made_anew(
    lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Path(shutil.copytree(lived, tmp_path / "other" / "tiny"))
    anneal(other, 4 * PER_STEP, "linear", 0.1, Listener())
    with killed_at(monkeypatch, verbs, "write_release", 1, after=True):
        anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())
    anneal(lived, 4 * PER_STEP, "linear", 0.1, Listener())
    assert_same(lived / "main", other / "main")


@pytest.fixture
def model(whole: Path, tmp_path: Path) -> Path:
    """A finished model from elsewhere: a Hugging Face folder without a Run."""
    tokenizer: Any = load_tokenizer(whole.parent / "tokenizer")
    config = ModelConfig(preset="olmo2", hidden=16, layers=2, heads=2)
    folder = tmp_path / "model"
    save_release(folder, from_scratch(config, tokenizer, 32, seed=7), tokenizer, "card", {})
    return folder


SMALL = {"held_out.tokens": 500, "schedule.peak_lr": 1e-3, "train.threads": 1}


def test_a_stage_that_goes_on_is_looked_into_ten_times(base: Path, tmp_path: Path) -> None:
    tokens = 20 * PER_STEP
    blind = tiny(evaluate__every=0, stages=[tiny().to_data()["stages"][0]])
    carried = carry(blind, tmp_path, base)
    assert not read_lines(carried.folder / "main" / "evals.jsonl", Evaluation)
    run = run_of(continue_run(carried.folder, sky(base), tokens, "new", Listener()))

    def steps(stage: str) -> list[int]:
        looks = read_lines(run.folder / "evals.jsonl", Evaluation)
        return [line.step for line in looks if (line.stage, line.source) == (stage, "land")]

    assert steps("new") == [12, *range(14, 33, 2)]
    extend(run.folder, tokens, Listener())
    assert steps("new") == [12, *range(14, 53, 2)]
    carry(blind, tmp_path, base)
    assert steps("new") == [12, *range(14, 53, 2)]


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
    old_change = numbers.changes[1]
    assert (old_change.stream, old_change.is_learnt) == ("old", False)
    assert old_change.first is not None and old_change.last is not None
    assert (old_change.first.loss, old_change.last.loss) == (before, after)
    looks = read_lines(run_of(carried).folder / "evals.jsonl", Evaluation)
    assert [line.step for line in looks if line.source == "old"] == [0, 1, 2, 3, 4, 5, 6]
    first, last = numbers.before[0], numbers.loss_matrix[0][0]
    assert first is not None and last is not None and first > last
    run = run_of(carried)
    assert run.manifest.model["source"] == str(model)
    assert load_model(run.folder / "releases" / "mine").config.hidden_size == 16
    shutil.rmtree(model)  # the Run is complete without it
    longer = run_of(extend(carried.folder, tokens, Listener()))
    assert longer.manifest.stages[0].tokens == 2 * tokens


def test_a_recipe_starts_from_another_run(base: Path, lived: Path, tmp_path: Path) -> None:
    """With that run's tokenizer, wherever it keeps it."""
    recipe = tiny(model={"from": str(lived / "main")}, tokenizer=None, name="child")
    run = run_of(carry(recipe, tmp_path, base))
    tokenizers = [folder / "tokenizer" / "tokenizer.json" for folder in (lived, run.folder.parent)]
    assert tokenizers[0].read_bytes() == tokenizers[1].read_bytes()
    scores = {name: line.loss for name, line in losses_at(Run(lived / "main"), "two").items()}
    assert {name: line.loss for name, line in losses_at(run, None).items()} == scores
    carry(recipe, tmp_path, base)


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


def test_what_is_new_in_a_runs_own_files_is_the_next_stage(
    base: Path, lived: Path, tmp_path: Path
) -> None:
    """New files and edited ones; what was read before is not read again."""
    moved = Path(shutil.copytree(base, tmp_path / "moved"))
    (lived / ".base").write_text(f"{moved}\n")
    new = (base / "sky" / "00.txt").read_text()
    for number in range(12):
        (moved / "sea" / f"new-{number}.txt").write_text(new[number * 40 :])
    edited = (moved / "land" / "03.txt").read_text().replace("tree", "forest")
    (moved / "land" / "03.txt").write_text(edited)
    run = run_of(continue_run(lived, [], 4 * PER_STEP, "later", Listener(), {"replay.fraction": 0}))
    manifest = json.loads((lived / run.manifest.data["later"] / "manifest.json").read_text())
    new_bytes = sum(len(new[n * 40 :].encode()) for n in range(12)) + len(edited.encode())
    assert manifest["num_bytes"] + manifest["held_out"]["num_bytes"] == new_bytes
    assert manifest["in_others"] == 24 + 24 - 1
    assert run.manifest.stages[2].mixture == {"later": 1.0}


def test_a_source_added_by_eval_is_measured_at_every_release(base: Path, lived: Path) -> None:
    before = (lived / "main" / "metrics.jsonl").read_bytes()
    verbs.measure_also(lived, "sky", sky(base)[0], Listener())
    run = Run(lived / "main")
    assert all(losses_at(run, stage)["sky"].loss > 0 for stage in (None, "one", "two"))
    assert (lived / "main" / "metrics.jsonl").read_bytes() == before
    with pytest.raises(InputError, match="--add sky: this recipe has a source of that name"):
        verbs.measure_also(lived, "sky", sky(base)[0], Listener())
