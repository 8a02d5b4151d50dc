from pathlib import Path

import pytest
from flow.tiny import PER_STEP, contents, sky

from evergrow.errors import InputError
from evergrow.flow import shift
from evergrow.flow.ahead import ahead_of_model, ahead_of_run
from evergrow.flow.shift import SAMPLE_BYTES, kind_of_shift, measure_shift, sample
from evergrow.listener import Listener
from evergrow.models.load import load_model
from evergrow.models.rates import usual_peak


def test_a_shift_is_named_by_the_new_loss_over_the_old() -> None:
    found = [kind_of_shift(ratio) for ratio in (0.9, 1.09, 1.1, 1.49, 1.5, 3.0)]
    assert found == [*2 * ["hardly any"], *2 * ["a weak"], *2 * ["a strong"]]


def test_a_run_is_measured_beside_what_its_release_scored(base: Path, lived: Path) -> None:
    run = lived / "main"
    before = contents(run)
    far = measure_shift(str(run), sky(base))
    assert contents(run) == before
    assert [one.name for one in far.old] == ["land", "sea"]
    assert all(one.recorded for one in far.old)
    assert far.ratio == pytest.approx(far.new.loss / (sum(o.loss for o in far.old) / 2))
    assert far.new.num_bytes <= SAMPLE_BYTES + 200
    near = measure_shift(str(run), [str(base / "sea" / "*.txt")])
    assert near.new.loss == pytest.approx(far.old[1].loss, rel=0.1)  # a sample of the same text
    assert far.rate is None
    assert far.option.startswith("--replay ")


def test_a_model_is_measured_beside_the_files_that_are_named(base: Path, model: Path) -> None:
    land = [str(base / "land" / "*.txt")]
    found = measure_shift(str(model), sky(base), land)
    assert [(one.name, one.recorded) for one in found.old] == [("old", False)]
    assert found.option == f"--mix GENERAL_FILES {found.share:g}"
    assert found.peak is not None
    assert found.rate == pytest.approx(0.3 * found.peak)
    assert "by its size" in found.why_rate
    num_parameters = sum(weight.numel() for weight in load_model(model).parameters())
    assert found.peak == pytest.approx(usual_peak(num_parameters))
    alone = measure_shift(str(model), sky(base))
    assert (alone.ratio, alone.share) == (None, 0.05)
    assert "no old text" in alone.why_share


def test_a_sample_is_spread_over_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.txt").write_text("".join(f"{n:09d}\n" for n in range(5000)))
    pieces = sample([str(tmp_path / "a.txt")], "new", 1000)
    assert len(pieces) == 16
    assert pieces[0].startswith("000000000\n")
    assert pieces[-1].startswith("000004900\n")
    monkeypatch.setattr(shift, "READ_BYTES", 5)
    (tmp_path / "b").mkdir()
    for name in "cd":
        (tmp_path / "b" / f"{name}.txt").write_text("x" * 3000)
    assert len(sample([str(tmp_path / "b")], "new", 1000)) == 3  # the first document is enough
    (tmp_path / "e.txt").write_text("a word")
    with pytest.raises(InputError, match="new: too short to be measured"):
        sample([str(tmp_path / "e.txt")], "new", 1000)


def test_the_stage_ahead_of_a_run_is_the_one_that_continue_would_train(
    base: Path, lived: Path
) -> None:
    before = contents(lived / "main")
    found = ahead_of_run(lived / "main", sky(base), 10 * PER_STEP + 5, "three", {}, None)
    assert contents(lived / "main") == before
    stage = found.stage
    assert stage is not None
    assert (stage.num_steps, stage.tokens, stage.replay) == (10, 10 * PER_STEP, 0.25)
    assert stage.first_rate == pytest.approx(0.55 * 3e-3)  # the trunk's constant goes on
    assert stage.last_rate == pytest.approx(0.1 * 3e-3)
    assert stage.seconds is not None
    assert found.shift is not None
    assert ahead_of_run(lived / "main", [], 999, "three", {}, None).shift is None  # --new


def test_the_plan_of_a_model_has_the_proposed_rate_where_none_is_given(
    base: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    small = {"held_out.tokens": 500, "train.threads": 1}
    there = sorted(tmp_path.rglob("*"))
    found = ahead_of_model(
        str(model), sky(base), 16 * 256, "mine", tmp_path, Listener(), small, [], None
    )
    assert found.plan is not None
    assert found.shift is not None
    top = max(found.plan.arms[0].stages[0].rates)
    assert top == pytest.approx(found.shift.rate, rel=0.1)
    assert sorted(tmp_path.rglob("*")) == there
