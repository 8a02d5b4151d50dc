import json
import shutil
from pathlib import Path

import pytest
from flow.tiny import (
    PER_STEP,
    assert_same,
    carry,
    contents,
    killed_at,
    losses_at,
    release,
    run_of,
    sky,
    tiny,
    trunk,
)

from evergrow.errors import InputError, Stopped
from evergrow.flow import verbs
from evergrow.flow.annealing import anneal
from evergrow.flow.asked import Mix
from evergrow.flow.verbs import continue_run, extend
from evergrow.listener import Listener, Progress
from evergrow.run import Run
from evergrow.stage import checkpoints
from evergrow.stage.records import Evaluation, read_lines

COSINE = {"kind": "cosine", "peak_lr": 3e-3}


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


def test_a_recipe_starts_from_another_run(base: Path, lived: Path, tmp_path: Path) -> None:
    """With that run's tokenizer, wherever it keeps it."""
    recipe = tiny(model={"from": str(lived / "main")}, tokenizer=None, name="child")
    run = run_of(carry(recipe, tmp_path, base))
    tokenizers = [folder / "tokenizer" / "tokenizer.json" for folder in (lived, run.folder.parent)]
    assert tokenizers[0].read_bytes() == tokenizers[1].read_bytes()
    scores = {name: line.loss for name, line in losses_at(Run(lived / "main"), "two").items()}
    assert {name: line.loss for name, line in losses_at(run, None).items()} == scores
    carry(recipe, tmp_path, base)


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


def test_continue_again_says_that_it_is_done(base: Path, lived: Path) -> None:
    continue_run(lived, sky(base), 4 * PER_STEP, "three", Listener())
    before, said = contents(lived / "main"), list[str]()
    continue_run(lived, sky(base), 4 * PER_STEP, "three", Listener(say=said.append))
    assert f"{lived}: done before; nothing is trained" in said
    assert contents(lived / "main") == before
    with pytest.raises(InputError, match="three: this run already has one, two, three; give the"):
        continue_run(lived, sky(base), 5 * PER_STEP, "three", Listener())


def test_general_files_are_mixed_into_a_later_stage(base: Path, lived: Path) -> None:
    mix = Mix([str(base / "land" / "*.txt")], 0.25)
    settings = {"replay.fraction": 0.0}
    with pytest.raises(InputError, match="general"):  # all of it was read before: nothing is left
        continue_run(lived, sky(base), 8 * PER_STEP, "three", Listener(), settings, mix)
    general = [str(base / "sky" / "0*.txt")]
    new = [str(base / "sky" / "1*.txt"), str(base / "sky" / "2*.txt")]
    run = run_of(
        continue_run(lived, new, 8 * PER_STEP, "three", Listener(), settings, Mix(general, 0.25))
    )
    assert run.manifest.stages[2].mixture == {"three": 0.75, "general": 0.25}
    seen = {key.rsplit("-", 1)[0]: s for key, s in run.manifest.stages[2].seen.items()}
    assert (seen["three"].last, seen["general"].last) == (24, 8)
