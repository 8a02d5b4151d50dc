"""Training from the shell: mistakes told before anything heavy, the plan and the arms as tables."""

from pathlib import Path
from typing import Any, get_args

import pytest
from cli.conftest import Refused
from report.make_run import make_run
from typer.main import get_command

from evergrow import cli
from evergrow.cli import run
from evergrow.cli.options import mix_of
from evergrow.flow.asked import Mix
from evergrow.flow.dry import ArmPlan, Plan, StagePlan
from evergrow.models.describe import StepMemory
from evergrow.schedules import AnnealShape
from evergrow.stage.changes import Change, Moment
from evergrow.stage.summary import ArmSummary, Summary


def test_shapes_are_those_of_schedules() -> None:
    assert get_args(run.Shape) == get_args(AnnealShape)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["run", "{tmp}/r.yaml"], "{tmp}/r.yaml: no such file; recipes that come along: growing, "
         "images, olmo2_small, quickstart, smollm2, tree"),
        (["run", "quickstart", "dry"], "'dry': expected key=value, for example "
         "train.batch_size=8"),
        (["extend", "{tmp}", "--tokens", "2 billion"],
         "--tokens: expected a count such as 20B, 500M or 4k, got '2 billion'"),
        (["extend", "{tmp}", "--tokens", "0"], "--tokens: expected at least one token, got 0"),
        (["continue", "{tmp}", "--data", "/usr", "--tokens", "1", "--name", "n", "--peak-lr", "1"],
         "--peak-lr and --evaluate: {tmp} is a run and has its own"),
        (["continue", "{tmp}/no", "--data", "/", "--tokens", "1", "--name", "n", "--replay", "1"],
         "--replay: {tmp}/no has no run, so there is no old data to replay"),
        (["continue", "{tmp}", "--data", "x", "--tokens", "1k", "--name", "n", "--mix", "a", "b"],
         "--mix: expected files and their share between 0 and 1, such as --mix 'general/*.jsonl' "
         "0.05, got a b"),
        (["continue", "{tmp}/no", "--data", "x", "--tokens", "1k", "--name", "n", "--mix", ".5"],
         "--mix: expected files and their share between 0 and 1, such as --mix 'general/*.jsonl' "
         "0.05, got .5"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(
    args: list[str], said: str, tmp_path: Path, refused: Refused
) -> None:
    assert refused(*(arg.format(tmp=tmp_path) for arg in args)) == said.format(tmp=tmp_path)


def test_a_plan_draws_rates_and_says_what_is_shared(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    rates = [0.0, 9.0, 9.0, 1e-3, 9.0, 9.0, 5e-4]  # every third is drawn
    memory = StepMemory(int(5e8), 0, 0, int(1.5e9), 0)
    stage = StagePlan("mail", 1_500, 90_000, 40, {"mail": 90_000}, rates, 7, 7, 1e9, ())
    run.show_plan(
        Plan([ArmPlan("long", 2, [stage], ["mail"])], 12_345, memory, 1, 5e6, 800.0, 90.0)
    )
    said = capsys.readouterr().out
    for words in (
        "long, seed 2", "mail (shared)", "1,500", "mail 90,000", "▁▁▁", "step 40",
        "12,345 parameters", "2.0 GB", "disk 5 MB", "800 tokens/s", "1.5 min",
    ):  # fmt: skip
        assert words in said


def test_a_summary_is_a_row_for_each_arm(capsys: pytest.CaptureFixture[str]) -> None:
    streams = ["mail", "films"]
    arm = ArmSummary(
        streams=streams,
        loss_matrix=[[3.0, None], [2.5, 1.75]],
        average=2.125,
        forgetting=None,
        transient_peak=0.25,
        tokens_per_second=1234.5,
        not_learnt=["films"],
    )
    found = {"name": "n", "status": "done", "unit": "loss", "counted": "pictures", "seeds": [0]}
    run.show_summary(Summary(**found, streams=streams, arms={"main": arm}, data={}))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "n: loss on held-out data after the last stage"
    assert "pictures/s" in lines[2].split()
    row = next(line for line in lines if "2.500" in line)
    assert row.split() == ["main", "2.500", "1.750", "2.125", "0.250", "1,234"]
    assert "main: not learnt, no better than a constant: films; its forgetting says" in (
        " ".join(lines)
    )


def test_what_is_only_measured_is_in_table_and_verdict(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Forgetting that was measured is said, and columns without numbers are left out."""
    monkeypatch.setenv("COLUMNS", "120")
    before = Moment(loss=2.277)
    old = Change(stream="old", is_learnt=False, first=before, lowest=before)
    mail = Change(stream="mail", is_learnt=True, first=Moment(loss=3.36), last=Moment(loss=2.63))
    arm = ArmSummary(
        streams=["mail"],
        loss_matrix=[[2.63]],
        average=2.63,
        extra={"old": [2.277, 3.124]},
        changes=[mail, old.model_copy(update={"last": Moment(loss=3.124)})],
    )
    found = {"name": "n", "status": "done", "unit": "loss", "counted": "tokens", "seeds": [0]}
    run.show_summary(Summary(**found, streams=["mail"], arms={"main": arm}, data={}))
    lines = capsys.readouterr().out.splitlines()
    heads, row = (next(li for li in lines if word in li.split()) for word in ("arm", "main"))
    assert heads.split() == ["arm", "mail", "old", "(measured", "only)", "average"]
    assert row.split() == ["main", "2.630", "3.124", "2.630"]
    assert "Learnt mail 3.36 -> 2.63. Forgot old: 2.28 -> 3.12 (+0.85)." in lines


def test_arms_over_seeds_are_judged_as_on_the_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run(tmp_path / "x", num_seeds=3, arms=("cosine", "cosine-replay"))
    run._show_verdict(folder)
    shown = capsys.readouterr().out
    assert shown.startswith("Over three seeds cosine-replay forgot 0.")


def test_many_files_after_one_option() -> None:
    command: Any = get_command(cli.app)
    words = ["continue", "m", "--data", "a.md", "b.md", "c.md", "--tokens", "1e4", "--name", "n"]
    words += ["--evaluate", "x", "y", "--data", "d.md", "--mix", "g", "h", "0.05"]
    with command.make_context("evergrow", words) as outer:
        name, inner, rest = command.resolve_command(outer, words)
        found = inner.make_context(name, rest).params
    assert found["data"] == ["a.md", "b.md", "c.md", "d.md"]
    assert found["evaluate"] == ["x", "y"]
    assert mix_of(found["mix"]) == Mix(["g", "h"], 0.05)
    assert (found["model"], found["tokens"], found["name"]) == ("m", 10_000, "n")
