"""What is read from a run folder, and what is refused."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from report.make_run import ARMS, BATCH, STEPS

from evergrow.errors import EvergrowError, InputError
from evergrow.report.folder import read_run_folder
from evergrow.stage.records import Step, read_lines

Make = Callable[..., Path]


def test_arms_come_in_the_recipes_order_though_the_summary_is_sorted(made: Make) -> None:
    folder = read_run_folder(made())
    assert [arm.name for arm in folder.arms] == list(ARMS)
    assert [arm.color for arm in folder.arms] == [0, 1, 2, 3]
    assert folder.sources == ["english", "python", "cpp"]


def test_spans_lie_end_to_end_and_know_how_far_the_trunk_came(made: Make) -> None:
    run = read_run_folder(made(progress=0.5, status="running")).arms[0].first
    length = STEPS * BATCH
    assert [(s.start, s.end) for s in run.spans] == [
        (0, length), (length, 2 * length), (2 * length, 3 * length)
    ]  # fmt: skip
    assert [s.reached for s in run.spans] == [length, length + 175 * BATCH, 2 * length]


def test_seeds_are_found_in_their_order(made: Make) -> None:
    arm = read_run_folder(made(num_seeds=11, arms=("cosine",), streams=("english",))).arms[0]
    assert [run.manifest.seed for run in arm.runs] == list(range(11))
    assert arm.runs[10].path == "cosine/seed-10"


def test_without_a_summary_the_runs_tell_the_state(made: Make) -> None:
    path = made(progress=0.5, status="running")
    (path / "summary.json").unlink()
    folder = read_run_folder(path)
    assert (folder.status, folder.name) == ("running", "toy")
    assert folder.streams == ["english", "python", "cpp"]


def test_a_half_written_last_line_is_left_out(tmp_path: Path) -> None:
    line = {"stage": "a", "leg": "trunk", "step": 1, "tokens": 8, "loss": float("nan"), "lr": 0.1}
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps(line) + "\n" + '{"stage": "a", "le')
    assert [row.step for row in read_lines(path, Step)] == [1]


def test_a_damaged_line_is_refused_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"stage": "a", "leg": "trunk", "step": 1, "tokens": 8, "loss": 2.0}\n')
    with pytest.raises(InputError, match=r"metrics\.jsonl: damaged at 0\.lr: Field required"):
        read_lines(path, Step)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="holds no run; give a folder that 'evergrow run' has made"
    ):
        read_run_folder(tmp_path)


def test_a_newer_format_is_refused(made: Make) -> None:
    path = made(arms=("cosine",), streams=("english",))
    summary = json.loads((path / "summary.json").read_text())
    (path / "summary.json").write_text(json.dumps({**summary, "format": 3}))
    with pytest.raises(InputError, match="format 3 is newer than 2"):
        read_run_folder(path)


def test_scores_are_those_of_the_data_that_the_run_has(made: Make) -> None:
    """Of another folder of the same name, such as before its files changed, nothing is shown."""
    path = made(arms=("cosine",), streams=("english",))
    run = read_run_folder(path).arms[0].first
    assert {moment: list(found) for moment, found in run.losses.items()} == {
        None: ["english"], "english": ["english"]
    }  # fmt: skip
    assert [(line.prompt, line.source) for line in run.shown["english"]] == [
        ("The function ", "english")
    ]
    manifest = json.loads((path / "cosine/manifest.json").read_text())
    manifest["data"] = {"english": "data/english-fedcba987654"}
    (path / "cosine/manifest.json").write_text(json.dumps(manifest))
    assert read_run_folder(path).arms[0].first.losses == {}


@pytest.mark.parametrize(
    ("text", "error", "sentence"),
    [
        ('{"format": 2}', InputError, "format 2 is newer than 1"),
        ('{"format": 1', EvergrowError, "damaged .*; delete it and it is measured again"),
        ('{"format": 1}', EvergrowError, "damaged .*; delete it and it is measured again"),
    ],
)
def test_newer_and_damaged_scores_are_refused(
    text: str, error: type[EvergrowError], sentence: str, made: Make
) -> None:
    path = made(arms=("cosine",), streams=("english",))
    next((path / "scores/cosine-0-0.0-0").glob("loss-*.json")).write_text(text)
    with pytest.raises(error, match=sentence):
        read_run_folder(path)
