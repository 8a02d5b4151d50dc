import shutil
from pathlib import Path

import pytest
from flow.tiny import PER_STEP, carry, contents, killed_at, losses_at, tiny

from evergrow.errors import EvergrowError, InputError
from evergrow.flow.annealing import anneal
from evergrow.flow.find import find_root, find_run
from evergrow.flow.listing import list_runs
from evergrow.flow.look import evaluate, prune, sample
from evergrow.listener import Listener
from evergrow.run import Run
from evergrow.stage import checkpoints


@pytest.fixture
def lived(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole.parent, tmp_path / "runs" / "tiny"))


def test_eval_of_a_run_repeats_the_scores_of_its_release(whole: Path) -> None:
    recorded = losses_at(Run(whole), "two")
    for path in (whole, whole.parent, whole / "releases" / "two"):
        assert {line.source: line for line in evaluate(path, [], None)} == recorded


def test_eval_on_files(whole: Path, base: Path) -> None:
    glob = str(base / "sky" / "*.txt")
    score = evaluate(whole, [glob], 32)[0]
    assert (score.source, score.counts["num_documents"]) == (glob, 24)
    assert score.counts["num_bytes"] == sum(p.stat().st_size for p in (base / "sky").iterdir())
    assert score.low < score.loss < score.high


def test_eval_of_a_model_without_a_run_asks_for_files(whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole / "releases" / "two", tmp_path / "model")
    with pytest.raises(InputError, match="belongs to no run; say with --data on which files"):
        evaluate(tmp_path / "model", [], None)


def test_eval_without_the_data_folder_says_so(lived: Path) -> None:
    shutil.rmtree(next(lived.glob("data/sea-*")))
    with pytest.raises(EvergrowError, match="sea-"):
        evaluate(lived, [], None)


@pytest.mark.parametrize("length", [-5, 0, 1])
def test_eval_on_windows_of_nothing_is_refused(whole: Path, length: int) -> None:
    with pytest.raises(InputError, match=f"--sequence-length: must be 2 or more, got {length}"):
        evaluate(whole, ["*.txt"], length)


def test_the_same_seed_samples_the_same_text(whole: Path) -> None:
    texts = [sample(whole, "tree", 12, 1.0, seed) for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]


def test_a_list_names_every_run_with_its_state(
    base: Path, lived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 7):
        carry(tiny(name="other", seeds=[0, 1]), lived.parent, base)
    other, unbegun, done = list_runs(lived.parent)
    assert (other.path.name, other.status, other.stages) == ("seed-0", "running", "1/2")
    assert other.tokens == (12 + 6) * PER_STEP  # of a stage under way what is saved
    assert (unbegun.stages, unbegun.tokens) == ("0/2", 0)
    assert (done.path, done.status, done.stages) == (lived / "main", "done", "2/2")
    assert done.tokens == 24 * PER_STEP
    size = sum(p.stat().st_size for p in (lived / "main").rglob("*") if p.is_file())
    assert done.num_bytes == size
    with pytest.raises(InputError, match="no such file or folder; go where your runs are kept"):
        list_runs(base / "elsewhere")


def test_prune_keeps_the_head_and_the_fork_of_the_last_stage(lived: Path) -> None:
    before = contents(lived / "main")
    planned, num_bytes = prune(lived, dry=True)
    assert contents(lived / "main") == before
    assert prune(lived, dry=False) == (planned, num_bytes)
    after = contents(lived / "main")
    gone = before.keys() - after.keys()
    assert {name.split("/")[1] for name in gone} == {*planned}
    assert planned == ["00-one-trunk-000000009", "00-one-trunk-000000012"]
    assert num_bytes == sum(len(before[name]) for name in gone)
    assert [m.step for m in checkpoints.marks(Run(lived / "main"))] == [21, 24]
    assert anneal(lived, 2 * PER_STEP, "linear", 0.1, Listener()).exists()


def test_an_unfinished_run_is_not_pruned(
    base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 7):
        carry(tiny(), tmp_path, base)
    with pytest.raises(InputError, match="is not finished; prune it when its stages are done"):
        prune(tmp_path / "tiny", dry=False)


def test_a_run_is_found_from_where_one_stands(lived: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(lived / "main")
    assert find_root(Path()) == lived
    assert find_run(Path()).manifest.arm == "main"
    with pytest.raises(InputError, match="neither a recipe's folder nor a run in one"):
        find_root(Path("/"))


def test_several_runs_must_be_named(lived: Path) -> None:
    shutil.copytree(lived / "main", lived / "twin")
    with pytest.raises(InputError, match=r"holds several runs \(main, twin\); name one, such as"):
        find_run(lived)
