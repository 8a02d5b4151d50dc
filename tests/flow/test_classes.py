"""Recipes that tell classes: layers that open, weighted orders, heads, labels that come later."""

from pathlib import Path

import numpy as np
import pytest
import torch
from flow.tiny import losses_at, scores_at
from safetensors.torch import load_file

from evergrow.cli.look import show_scores
from evergrow.cli.run import show_summary
from evergrow.errors import InputError
from evergrow.flow.dry import draw_plan
from evergrow.flow.verbs import continue_run
from evergrow.listener import Listener
from evergrow.objectives.picture import drawn_part, in_turn
from evergrow.stage import checkpoints
from evergrow.stage.records import Evaluation, read_lines
from evergrow.stage.work import open_work
from evergrow.train.depth import resnet_group

from .tiny import assert_same, carry, killed_at, run_of
from .tiny_pictures import (
    CLASSES,
    MORE,
    PER_STEP,
    UNFREEZE,
    classifier,
    page_of,
    save_films,
    two_classes,
)


def test_killed_while_layers_open_it_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = classifier(**UNFREEZE)
    whole = run_of(carry(recipe, tmp_path / "whole", tmp_path))
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 2, True):
        carry(recipe, tmp_path / "killed", tmp_path)
    assert_same(run_of(carry(recipe, tmp_path / "killed", tmp_path)).folder, whole.folder)


def test_what_is_frozen_keeps_its_bits_and_its_statistics(tmp_path: Path) -> None:
    run = run_of(carry(classifier(**UNFREEZE), tmp_path, tmp_path))
    model = open_work(run.folder, 0, Listener(), fresh=True)
    model.writer.close()
    before = model.model.state_dict()
    after = load_file(run.folder / "releases" / "all" / "model.safetensors")
    same = {resnet_group(n) for n in after if torch.equal(after[n], before[n])}
    moved = {resnet_group(n) for n in after if not torch.equal(after[n], before[n])}
    assert same >= {"embed"} and "embed" not in moved
    assert moved == {"0", "1", "head"}


def test_a_classifier_learns_and_says_what_it_told_wrong(tmp_path: Path) -> None:
    recipe = classifier(
        model={"preset": "vit", "hidden": 32, "layers": 2, "heads": 2, "patch": 4},
        stages__0__images=150 * PER_STEP,
        schedule={"kind": "cosine", "peak_lr": 2e-3},
        train__augment={"crop": 0.7, "rotate": 10, "cutmix": 0.3},
        train__objective={"kind": "classification", "order": "balanced"},
        evaluate__every=0,
    )
    run = run_of(carry(recipe, tmp_path, tmp_path))
    start, end = (losses_at(run, stage)["all"] for stage in (None, "all"))
    assert start.accuracy is not None and end.accuracy is not None
    assert end.accuracy > start.accuracy + 0.2
    assert end.loss < start.loss
    (sheet,) = (line for score in scores_at(run, "all") for line in score.shown)
    cases = sheet.cases
    assert all(c.is_ == c.told for c in cases[: sheet.num_right])
    assert all(c.is_ != c.told for c in cases[sheet.num_right :])
    page = page_of(run)
    wrong = cases[sheet.num_right]
    assert f"right: {cases[0].told}" in page
    assert f"wrong: {wrong.is_} told as {wrong.told}" in page
    assert f'<data value="{end.accuracy}">' in page and "Told right" in page
    assert "AutoModelForImageClassification" in page


def test_in_a_weighted_order_a_rare_class_is_read_as_often(tmp_path: Path) -> None:
    films = np.random.default_rng(0).integers(0, 256, (170, 8, 8), dtype=np.uint8)
    save_films(tmp_path, images=films, labels=np.array([0] * 130 + [1] * 40))
    recipe = classifier(
        sources={"all": {"images": ["films.npz"]}},
        train__objective={"kind": "classification", "order": "balanced"},
        stages__0__images=2 * PER_STEP,
    )
    run = run_of(carry(recipe, tmp_path, tmp_path))
    work = open_work(run.folder, 0, Listener(), fresh=True)
    work.writer.close()
    num_items = work.objective.num_items("all")
    labels = work.opened.stocks["all"].labels["train"]
    assert num_items == 2 * labels.count("0")
    read = sum(
        work.batch_at(step).targets_NK.sum(0) for step in range(1, num_items // PER_STEP + 1)
    )
    assert abs(int(read[0] - read[1])) <= PER_STEP  # an epoch, but for its last steps
    assert labels.count("1") < 0.5 * labels.count("0")


def test_a_later_stage_with_a_new_class_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    run = run_of(carry(two_classes(), tmp_path, tmp_path))
    before = (run.folder / "manifest.json").read_bytes()
    longer = two_classes(stages=[CLASSES["stages"][0], MORE])  # pyright: ignore
    with pytest.raises(InputError, match="its model tells 0, 1 and not '2', and its head cannot"):
        carry(longer, tmp_path, tmp_path)
    assert (run.folder / "manifest.json").read_bytes() == before
    assert run_of(carry(two_classes(), tmp_path, tmp_path)).manifest.status == "done"
    films = np.random.default_rng(0).integers(0, 256, (80, 16, 16), dtype=np.uint8)
    save_films(tmp_path, images=films, labels=np.array([1, 7] * 40))
    with pytest.raises(InputError, match="and not '7'"):
        continue_run(run.folder, [str(tmp_path / "films.npz")], 800, "films", Listener())


def test_an_expected_label_has_no_balanced_weight(tmp_path: Path) -> None:
    asked = {"kind": "classification", "expected": ["2"], "weights": "balanced"}
    with pytest.raises(InputError, match="training picture of every label, '2' has none"):
        carry(two_classes(train__objective=asked), tmp_path, tmp_path)
    assert not list(tmp_path.glob("digits/main"))


def test_labels_expected_from_the_start_may_come_in_a_later_stage(tmp_path: Path) -> None:
    named = {"train__objective": {"kind": "classification", "expected": [*"23"]}}
    carry(two_classes(**named), tmp_path, tmp_path)
    longer = two_classes(stages=[CLASSES["stages"][0], MORE], **named)  # pyright: ignore
    run = run_of(carry(longer, tmp_path, tmp_path))
    assert [s.status for s in run.manifest.stages] == ["done"] * 2


def test_the_part_and_the_maps_of_sorted_files_show_every_class(tmp_path: Path) -> None:
    """Held-out films of one class after the other, as folders of labels have them."""
    films = np.random.default_rng(0).integers(0, 256, (300, 16, 16), dtype=np.uint8)
    labels = np.repeat([0, 1, 2], 40)
    save_films(
        tmp_path,
        train_images=films[:180],
        train_labels=np.repeat([0, 1, 2], 60),
        test_images=films[180:],
        test_labels=labels,
    )
    recipe = classifier(sources={"all": {"images": ["films.npz"]}}, stages__0__images=2 * PER_STEP)
    run = run_of(carry(recipe, tmp_path, tmp_path))
    (look, *_) = read_lines(run.folder / "evals.jsonl", Evaluation)
    work = open_work(run.folder, 0, Listener(), fresh=True)
    work.writer.close()
    keys = work.opened.stocks["all"].rows["held_out"]["key"]
    part = drawn_part(keys, 20)
    labels = [work.opened.stocks["all"].labels["held_out"][i] for i in part]
    assert len(part) == 20 and set(labels) == {"0", "1", "2"}
    assert drawn_part(keys, 20) == part == sorted(part)
    assert look.source == "all"
    (sheet,) = (line for score in scores_at(run, "all") for line in score.shown)
    assert len({case.is_ for case in sheet.cases}) == 3
    assert in_turn([0, 1, 2, 3, 4], ["b", "b", "b", "a", "c"]) == [3, 0, 4, 1, 2]


def test_a_head_that_is_drawn_anew_is_said_on_the_screen(tmp_path: Path) -> None:
    first = run_of(carry(two_classes(), tmp_path / "first", tmp_path))
    said: list[str] = []
    recipe = classifier(
        model={"from": str(first.folder)},
        train__objective={"kind": "classification", "labels": ["1", "0"]},
        sources={"all": {"pictures": "digits", "size": 16, "only": ["0", "1"]}},
    )
    carry(
        recipe, tmp_path / "other", tmp_path, Listener(say=said.append)
    )  # a ResNet takes any size
    assert any("is kept, its outputs put in the order 1, 0" in s for s in said)
    said.clear()
    recipe = recipe.model_copy(update={"sources": {"all": two_classes().sources["all"]}})
    run = run_of(carry(recipe, tmp_path / "next", tmp_path, Listener(say=said.append)))
    start, end = losses_at(run, None)["all"], losses_at(first, "all")["all"]
    assert start.accuracy == end.accuracy and start.loss == pytest.approx(end.loss)
    assert any("is kept, its outputs put in the order 1, 0" in s for s in said)


def test_a_dry_run_of_a_resnet_whose_maps_shrink_to_one_value(tmp_path: Path) -> None:
    recipe = classifier(model={"preset": "resnet", "hidden": 64, "layers": 4})
    recipe = recipe.model_copy(update={"sources": {"all": two_classes().sources["all"]}})
    assert draw_plan(recipe, tmp_path, Listener()).memory_bytes > 0


def test_what_no_picture_shows_is_not_learnt(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labels by lot, one of them four times as often: the loss falls, and the prior is as good."""
    draw = np.random.default_rng(0)
    films = draw.integers(0, 256, (400, 8, 8), dtype=np.uint8)
    save_films(
        tmp_path,
        train_images=films[:200],
        train_labels=np.repeat([0, 1], [160, 40]),
        test_images=films[200:],
        test_labels=np.repeat([0, 1], [150, 50]),
    )
    recipe = classifier(
        sources={"all": {"images": ["films.npz"]}},
        stages__0__images=75 * PER_STEP,
        schedule={"kind": "cosine", "peak_lr": 1e-2},
        evaluate__every=0,
    )
    carried = carry(recipe, tmp_path, tmp_path)
    run = run_of(carried)
    start, end = (losses_at(run, stage)["all"] for stage in (None, "all"))
    prior = -(0.75 * np.log(161 / 202) + 0.25 * np.log(41 / 202))
    assert end.floor == pytest.approx(prior) and end.majority == 0.75
    assert end.loss > end.floor and not end.is_learnt
    assert end.told is not None and end.told.auroc is not None
    assert end.told.auroc.low < 0.5 < end.told.auroc.high
    confusion = np.array(end.told.confusion)
    assert confusion.sum(1).tolist() == [150, 50]
    assert np.trace(confusion) / 200 == end.accuracy
    low, high = end.told.accuracy_bounds or (0, 0)
    assert low < (end.accuracy or 0) < high
    assert carried.summary.arms["main"].not_learnt == ["all"]
    show_summary(carried.summary)
    assert "main: not learnt, no better than a constant: all" in capsys.readouterr().out
    show_scores([start, end])
    table = capsys.readouterr().out
    assert "majority" in table and "0.750" in table and f"{prior:.3f}" in table
    assert "Not learnt: main: all." in page_of(run)
