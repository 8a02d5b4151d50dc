import errno
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from flow.tiny import PER_STEP, Killed, assert_same, carry, killed_at, run_of, tiny
from safetensors.torch import load_file

from evergrow import disk
from evergrow.disk import locked
from evergrow.errors import EvergrowError, InputError, Stopped
from evergrow.flow import pages
from evergrow.listener import Listener, Progress
from evergrow.objectives.causal import Causal
from evergrow.run import Run
from evergrow.scores import measure
from evergrow.stage import checkpoints, release
from evergrow.stage import legs as stage
from evergrow.train.objective import Loss

run_room = sys.modules["evergrow.run"]  # the package has the verb of that name

# where.name is called for the n-th time: before or after its work the process is gone
KILLS: dict[str, tuple[Any, str, int, bool]] = {
    "before any checkpoint": (checkpoints, "save_checkpoint", 1, False),
    "while a checkpoint is written": (run_room, "checksum", 4, False),
    "after the second checkpoint": (checkpoints, "save_checkpoint", 2, True),
    "while an old checkpoint is dropped": (run_room.shutil, "rmtree", 1, False),
    "inside the trunk, its records written": (stage, "record_curve", 3, True),
    "between the trunk and the anneal": (stage, "train_release", 1, False),
    "inside the anneal": (stage, "train_branch", 1, False),
    "after the release was measured": (stage, "measure", 1, True),
    "while the release is written": (release, "model_card", 1, False),
    "before the stage is marked done": (stage, "write_release", 1, True),
    "before its periodic checkpoints go": (checkpoints, "drop_periodic", 1, False),
    "at the start of the second stage": (stage, "_enter", 2, False),
    "inside the second stage's trunk": (checkpoints, "save_checkpoint", 8, True),
    "while scores are written": (measure, "write_score", 9, False),
    "before the summary": (pages, "write_summary", 1, False),
}


@pytest.mark.parametrize("kill", KILLS)
def test_killed_and_run_again_gives_the_same_bytes(
    kill: str, base: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where, name, call, after = KILLS[kill]
    with killed_at(monkeypatch, where, name, call, after):
        carry(tiny(), tmp_path, base)
    assert_same(run_of(carry(tiny(), tmp_path, base)).folder, whole)


def test_killed_inside_the_anneal_it_goes_on_from_the_anneals_checkpoint(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny(
        schedule__anneal__fraction=0.5, checkpoints__every=2 * PER_STEP, train__log_every=1
    )
    whole = run_of(carry(recipe, tmp_path / "whole", base)).folder

    def kill(progress: Progress) -> None:
        if progress.leg == "anneal" and progress.total - progress.done == 1:
            raise Killed

    with pytest.raises(Killed):
        carry(recipe, tmp_path / "killed", base, Listener(progress=kill))
    again: list[Progress] = []
    carried = carry(recipe, tmp_path / "killed", base, Listener(progress=again.append))
    assert (again[0].leg, again[0].total - again[0].done) == ("anneal", 1)
    assert_same(carried.folder / "main", whole)


@pytest.mark.parametrize("leg", ["trunk", "anneal"])
def test_a_signal_saves_and_stops_and_the_rest_is_the_same(
    leg: str, base: Path, whole: Path, tmp_path: Path
) -> None:
    def stop(progress: Progress) -> None:
        if (progress.stage, progress.leg) == ("two", leg):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) as stopped:
        carry(tiny(), tmp_path, base, Listener(progress=stop))
    assert stopped.value.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) == before
    run = Run(tmp_path / "tiny" / "main")
    assert (run.manifest.status, run.manifest.stages[0].status) == ("stopped", "done")
    assert_same(run_of(carry(tiny(), tmp_path, base)).folder, whole)


def test_a_signal_while_reading_ends_at_once(base: Path, whole: Path, tmp_path: Path) -> None:
    def stop(sentence: str) -> None:
        if sentence == "sea: tokenising":
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Stopped) as stopped:
        carry(tiny(), tmp_path, base, Listener(say=stop))
    assert stopped.value.exit_code == 130
    assert next((tmp_path / "tiny" / "data").glob("[!.]*")).name.startswith("land-")
    assert_same(run_of(carry(tiny(), tmp_path, base)).folder, whole)


def test_what_a_killed_writer_left_is_gone_at_the_end(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, run_room.shutil, "rmtree", 1):
        carry(tiny(), tmp_path, base)
    run = run_of(carry(tiny(), tmp_path, base))
    assert list(run.checkpoints.glob(".*")) == []


def test_loss_without_a_number_stops_and_names_the_last_good_checkpoint(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    loss = Causal.__call__

    def broken(self: Causal, model: Any, batch: Any, device: torch.device) -> Loss:
        nonlocal calls
        calls += 1
        found = loss(self, model, batch, device)
        return Loss(found.total * float("nan"), found.parts) if calls > 18 else found

    recipe = tiny(checkpoints__every=20 * PER_STEP, stages__1__tokens=24 * PER_STEP)
    whole = run_of(carry(recipe, tmp_path / "whole", base)).folder
    with monkeypatch.context() as patch:
        patch.setattr(Causal, "__call__", broken)
        with pytest.raises(EvergrowError) as failed:
            carry(recipe, tmp_path, base)
    text = str(failed.value)
    assert "steps in a row were skipped" in text and "gradient norm nan" in text
    run = Run(tmp_path / "tiny" / "main")
    newest = checkpoints.marks(run)[-1].name
    assert text.endswith(f"the last good checkpoint is {newest}")
    assert (run.manifest.status, run.manifest.error) == ("failed", text)
    assert json.loads((tmp_path / "tiny" / "summary.json").read_text())["status"] == "failed"
    again = run_of(carry(recipe, tmp_path, base))
    assert (again.manifest.status, again.manifest.error) == ("done", None)
    assert_same(again.folder, whole)


def test_full_disk_while_saving_is_a_sentence_and_going_on_gives_the_same(
    base: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0
    write = run_room.checksum

    def full(path: Path) -> str:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path)

    with monkeypatch.context() as patch:
        patch.setattr(run_room, "checksum", full)
        with pytest.raises(EvergrowError, match=r"no space left while writing; nothing was repl"):
            carry(tiny(), tmp_path, base)
    assert Run(tmp_path / "tiny" / "main").manifest.status == "failed"
    assert_same(run_of(carry(tiny(), tmp_path, base)).folder, whole)


def test_a_damaged_newest_checkpoint_is_named_and_deleting_it_goes_on_from_the_one_before(
    base: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 8, after=True):
        carry(tiny(), tmp_path, base)
    run = Run(tmp_path / "tiny" / "main")
    newest, before = checkpoints.marks(run)[-1], checkpoints.marks(run)[-2]
    folder = run.checkpoints / newest.name
    whole_file = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole_file[:-100])
    with pytest.raises(EvergrowError) as damaged:
        carry(tiny(), tmp_path, base)
    assert str(damaged.value).endswith(f"delete {folder} to go on from the checkpoint before it")
    run_room.shutil.rmtree(folder)
    said: list[str] = []
    again = run_of(carry(tiny(), tmp_path, base, Listener(say=said.append)))
    assert f"restored everything at {before.name}" in said[-1]
    assert_same(again.folder, whole)


def test_a_record_cut_from_outside_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 3, after=True):
        carry(tiny(), tmp_path, base)
    metrics = tmp_path / "tiny" / "main" / "metrics.jsonl"
    metrics.write_text("")
    with pytest.raises(EvergrowError, match=r"metrics.jsonl: holds 0 bytes where the checkpoint"):
        carry(tiny(), tmp_path, base)


def test_a_run_in_use_is_refused(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk, "LOCK_PATIENCE", 0.0)
    (tmp_path / "tiny").mkdir()
    with locked(tmp_path / "tiny"), pytest.raises(InputError) as refused:
        carry(tiny(), tmp_path, base)
    assert f"in use by process {os.getpid()} on" in str(refused.value)


def test_a_run_moved_out_of_its_recipe_says_what_is_missing(whole: Path, tmp_path: Path) -> None:
    run_room.shutil.copytree(whole, tmp_path / "main")
    with pytest.raises(InputError, match=r"move the whole recipe folder, not one run of it"):
        stage.carry_out_stage(tmp_path / "main", 1, Listener())


def test_the_branch_reads_what_the_trunk_reads_next(whole: Path) -> None:
    """Both legs leave the fork with the same weights, so their first losses agree."""
    lines = Run(whole).read("metrics")
    record = Run(whole).manifest.stages[0]
    assert record.fork_step == 9
    first = {m["leg"]: m for m in lines if m["step"] == record.fork_step + 1}
    assert first["trunk"]["loss"] == first["anneal"]["loss"]
    assert first["trunk"]["lr"] > first["anneal"]["lr"]
    last = {m["leg"]: m for m in lines if m["step"] == 12}
    assert last["anneal"]["lr"] == pytest.approx(3e-4)  # a tenth of the peak


def test_the_trunk_does_not_depend_on_the_planned_anneal(
    base: Path, whole: Path, tmp_path: Path
) -> None:
    other = run_of(carry(tiny(schedule__anneal__fraction=0.5), tmp_path, base))
    trunks = [
        [m for m in run.read("metrics") if m["leg"] == "trunk"] for run in (Run(whole), other)
    ]
    assert trunks[0] == trunks[1]
    ends = [
        load_file(run.checkpoints / "01-two-trunk-000000024" / "model.safetensors")
        for run in (Run(whole), other)
    ]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_fresh_moments_fill_at_rate_zero(base: Path, tmp_path: Path) -> None:
    changes: dict[str, Any] = {"stages__1__optimizer_state": {"refill": 3}}
    run = run_of(carry(tiny(**changes), tmp_path, base))
    rates = [m["lr"] for m in run.read("metrics") if (m["stage"], m["leg"]) == ("two", "trunk")]
    assert rates[:3] == [0.0, 0.0, 0.0] and rates[3] > 0


def test_steps_of_only_repeats_are_said_once(tmp_path: Path) -> None:
    for i in range(24):
        path = tmp_path / "texts" / "land" / f"{i:02d}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{i} " + "na " * 900)
    recipe = tiny(
        sources={"land": {"files": ["land/*.txt"]}},
        stages=[{"name": "one", "data": "land", "tokens": 6 * PER_STEP}],
        replay={},
    )
    said: list[str] = []
    listener = Listener(say=said.append)
    run = run_of(carry(recipe, tmp_path, tmp_path / "texts", listener))
    losses = [line["loss"] for line in run.read("metrics")]
    assert losses.count(0) > 1
    found = [sentence for sentence in said if "so it learns nothing" in sentence]
    assert len(found) == 1
    assert found[0].startswith("one: no target of step ")


def test_what_is_frozen_is_not_counted_as_computed(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a head alone the forward pass and its own gradient: a third and a little."""
    monkeypatch.setattr(stage, "_peak_flops", lambda device, dtype, threads: 1e9)
    run = run_of(carry(tiny(stages__1__depth={"unfreeze": {"head": 0.0}}), tmp_path, base))
    shares: dict[str, list[float]] = {}
    for line in run.read("timing"):
        steps = 2 * PER_STEP  # the log's interval
        operations = line["mfu"] * 1e9 * line["seconds"]
        shares.setdefault(line["stage"], []).append(operations / steps)
    counts = run.manifest.stages[0].model
    assert counts is not None
    assert max(shares["one"]) == pytest.approx(counts.flops_per_token, rel=0.2)
    assert max(shares["two"]) < 0.75 * counts.flops_per_token
