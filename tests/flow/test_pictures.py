"""Recipes on pictures: the same stream, schedules, replay, releases and resumption as on text."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from images.make import write_png
from PIL import Image
from safetensors.torch import load_file
from tiny_models import assert_rows_differ
from transformers import AutoImageProcessor, ViTMAEForPreTraining, ViTMAEModel

from evergrow.disk import sealed
from evergrow.errors import EvergrowError, InputError
from evergrow.flow.annealing import anneal
from evergrow.flow.dry import draw_plan
from evergrow.flow.first_stage import continue_model
from evergrow.flow.look import evaluate, sample
from evergrow.flow.verbs import continue_run, extend
from evergrow.listener import Listener
from evergrow.models.vision import drawn_anew
from evergrow.objectives import patches
from evergrow.objectives.picture import mask_noise
from evergrow.report import write_report
from evergrow.run import Run
from evergrow.stage import checkpoints
from evergrow.stage.summary import summarise_run, write_summary
from evergrow.stage.work import open_work
from evergrow.train.objective import Loss

from .tiny import (
    assert_same,
    carry,
    killed_at,
    losses_at,
    probes_at,
    run_of,
    scores_at,
    scores_of,
    tiny,
)
from .tiny_pictures import (
    CLASSES,
    DIGITS,
    PER_STEP,
    classifier,
    digits,
    page_of,
    save_films,
)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("pictures")
    return run_of(carry(digits(), folder, folder))


def test_every_stage_measures_every_stream_beside_the_mean_picture(lived: Run) -> None:
    found = [losses_at(lived, stage) for stage in ("low", "high")]
    assert [sorted(lines) for lines in found] == [["high", "low"]] * 2
    for line in (line for lines in found for line in lines.values()):
        assert line.low < line.loss < line.high
        assert line.floor is not None and 0 < line.floor < 1
        assert line.unit == "squared error"
    assert len({lines["low"].floor for lines in found}) == 1


def test_a_measurement_repeats_to_the_last_digit(lived: Run) -> None:
    recorded = losses_at(lived, "high")
    shutil.rmtree(lived.folder.parent / "scores" / lived.manifest.stages[1].key)
    assert {line.source: line for line in evaluate(lived.folder, [], None)} == recorded


def test_probes_stand_beside_first_weights_and_pixels(lived: Run) -> None:
    lines = {stage: probes_at(lived, stage) for stage in (None, "low", "high")}
    places = {(stage, p.features) for stage, found in lines.items() for p in found}
    assert places == {(None, "pixels"), (None, "model"), ("low", "model"), ("high", "model")}
    assert min(p.accuracy for p in lines[None] if p.features == "pixels") > 0.85
    assert {p.probe for p in lines["low"]} == {"linear", "nearest"}


def test_a_release_is_a_folder_of_transformers(lived: Run) -> None:
    folder = lived.folder / "releases" / "high"
    model = ViTMAEForPreTraining.from_pretrained(folder)
    assert model.config.mask_ratio == 0.75
    processor: Any = AutoImageProcessor.from_pretrained(folder)
    assert processor.do_normalize is False
    card = (folder / "README.md").read_text()
    assert (
        "Squared error on held-out data" in card
        and "Of hidden patches" in card
        and "| low | " in card
    )


def test_sheets_are_pictures_of_three_rows(lived: Run) -> None:
    sheets = {}
    for stage in (None, "low", "high"):
        for line in (line for score in scores_at(lived, stage) for line in score.shown):
            key = {None: lived.manifest.start.key} | {s.name: s.key for s in lived.manifest.stages}
            path = lived.folder.parent / "scores" / key[stage] / str(line.picture)
            sheets[stage, line.source] = np.asarray(Image.open(path))
    assert len(sheets) == 6
    assert {sheet.shape for sheet in sheets.values()} == {(3 * 58 - 2, 8 * 58 - 2, 3)}
    before, after = sheets[None, "low"], sheets["low", "low"]
    assert np.array_equal(before[:116], after[:116])  # the same pictures under the same masks
    assert not np.array_equal(before[116:], after[116:])


def test_an_arm_that_takes_a_stage_over_has_its_sheets(tmp_path: Path) -> None:
    arms: dict[str, Any] = {"plain": {"replay.fraction": 0}, "replay": {}}
    carried = carry(digits(arms=arms), tmp_path, tmp_path)
    one, two = (run_of(carried, arm) for arm in arms)
    assert two.manifest.stages[0].shared_with == "../plain"
    assert scores_at(one, "low") == scores_at(two, "low") != []
    assert page_of(two).count("data:image/png;base64") == 12


def test_the_page_shows_units_probes_sheets_and_the_audit(lived: Run) -> None:
    page = page_of(lived)
    for text in ("Linear probe", "Nearest neighbours", "Audit of the pictures", "AutoModelForPreT"):
        assert text in page
    assert page.count("data:image/png;base64") == 6
    assert page.count("<figcaption>before</figcaption>") == 2
    assert "after high" in page and "<td>unknown: 360</td>" in page
    wrong = ("bits per byte", "bits/byte", "a token", "documents", "tokens", "AutoModelForCausalLM")
    assert [word for word in wrong if word in page.lower()] == []


def test_what_was_not_learnt_is_said_before_what_was_forgotten(lived: Run) -> None:
    """After 12 steps no release is better than the mean picture."""
    for stage in ("low", "high"):
        line = losses_at(lived, stage)[stage]
        assert line.floor is not None and line.loss >= line.floor
    page = page_of(lived)
    alert = page.index("Not learnt: main: low, main: high. The release right after its own stage")
    assert alert < page.index("<main>")
    assert "Not all was learnt, so nothing is said of what was forgotten." in page
    assert "Nothing was forgotten" not in page and "The model learnt" not in page
    assert summarise_run(lived, lived.folder.parent).not_learnt == ["low", "high"]


def test_what_was_learnt_raises_no_alarm(lived: Run, tmp_path: Path) -> None:
    root = Path(shutil.copytree(lived.folder.parent, tmp_path / "digits"))
    for path in (root / "scores").rglob("loss-*.json"):
        score = json.loads(path.read_text())
        score["losses"] = [{**line, "floor": line["loss"] + 1e-6} for line in score["losses"]]
        path.write_text(json.dumps(sealed(score)))
    write_summary(root, "done")
    page = page_of(Run(root / "main"))
    assert "Not learnt" not in page and "not learnt" not in page
    assert summarise_run(Run(root / "main"), root).not_learnt == []


def test_the_n_th_batch_is_a_pure_function(lived: Run) -> None:
    works = [open_work(lived.folder, 1, Listener(), fresh=False) for _ in range(2)]
    batches = [work.batch_at(20) for work in works]
    for work in works:
        work.writer.close()
    assert torch.equal(batches[0].pixels_NCHW, batches[1].pixels_NCHW)
    assert batches[0].keys_N == batches[1].keys_N


@pytest.mark.parametrize("call", [2, 5, 9])
def test_killed_it_goes_on_to_the_same_bytes(
    call: int, lived: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", call, False):
        carry(digits(), tmp_path, tmp_path)
    again = run_of(carry(digits(), tmp_path, tmp_path))
    assert_same(again.folder, lived.folder)


def test_a_classifier_starts_from_a_masked_autoencoder(lived: Run, tmp_path: Path) -> None:
    recipe = classifier(
        model={"from": str(lived.folder / "releases" / "high")},
        sources={"all": {"pictures": "digits"}},
        train__objective={"kind": "classification"},
    )
    run = run_of(carry(recipe, tmp_path, tmp_path))
    opened = open_work(run.folder, 0, Listener(), fresh=True)
    opened.writer.close()
    kept = load_file(lived.folder / "releases" / "high" / "model.safetensors")
    name = "vit.embeddings.patch_embeddings.projection.weight"
    assert torch.equal(opened.model.state_dict()[name], kept[name])
    twin = drawn_anew(opened.model, 0)
    assert not torch.equal(twin.state_dict()[name], kept[name])
    first = {p.features: p.accuracy for p in probes_at(run, None)}
    assert first.keys() == {"model", "pixels", "random"} and first["random"] < first["pixels"]
    page = write_report(run.folder.parent).read_text(encoding="utf-8")
    assert "random weights" in page


def copied(lived: Run, folder: Path) -> Run:
    return Run(Path(shutil.copytree(lived.folder.parent, folder / "digits")) / "main")


def test_a_run_on_pictures_is_made_longer_annealed_and_continued(
    lived: Run, tmp_path: Path
) -> None:
    run = copied(lived, tmp_path)
    planned = run_of(carry(digits(stages__1__images=18 * PER_STEP), tmp_path / "planned", tmp_path))
    extend(run.folder, 6 * PER_STEP, Listener())
    for name in ("metrics.jsonl", "evals.jsonl"):
        assert (run.folder / name).read_bytes() == (planned.folder / name).read_bytes()
    release = anneal(run.folder, 4 * PER_STEP, "linear", 0.1, Listener())
    assert ViTMAEForPreTraining.from_pretrained(release).config.mask_ratio == 0.75
    for number in range(80):
        write_png(tmp_path / f"films/{number}.png", number, height=11, width=9)
    films = [str(tmp_path / "films/*.png")]
    settings = {"replay.fraction": 0.5}
    continue_run(run.folder, films, 6 * PER_STEP, "films", Listener(), settings)
    again = Run(run.folder)
    assert [s.status for s in again.manifest.stages] == ["done"] * 3
    assert sum(s.replayed for s in again.manifest.stages[2].seen.values()) == 3 * PER_STEP
    assert losses_at(again, "films").keys() == {"low", "high", "films"}


def test_a_model_of_pictures_writes_no_text(lived: Run) -> None:
    with pytest.raises(InputError, match="reads pictures and writes no text"):
        sample(lived.folder, "", 10, 0.8, 0)


def from_encoder(lived: Run, folder: Path) -> dict[str, Any]:
    """Goes on from the lived model's encoder alone, whose pixels are to be normalised."""
    release = lived.folder / "releases" / "high"
    ViTMAEModel.from_pretrained(release).save_pretrained(folder)
    said = {"do_normalize": True, "image_mean": [0.5], "image_std": [0.25]}
    (folder / "preprocessor_config.json").write_text(json.dumps(said))
    return {"model": {"from": str(folder)}, "train__objective": {"kind": "masked_patches"}}


def test_an_encoder_alone_goes_on_under_a_decoder_that_sees_places(
    lived: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = from_encoder(lived, tmp_path / "encoder")
    run = run_of(carry(digits(**start), tmp_path / "whole", tmp_path))
    work = open_work(run.folder, 0, Listener(), fresh=True)
    work.writer.close()
    assert_rows_differ(work.model)
    kept = ViTMAEForPreTraining.from_pretrained(lived.folder / "releases" / "high").state_dict()
    own = work.model.state_dict()
    assert all(torch.equal(own[n], t) for n, t in kept.items() if n.startswith("vit."))
    assert any(not torch.equal(own[n], t) for n, t in kept.items() if n.startswith("decoder."))
    release = run.folder / "releases" / "high"
    assert_rows_differ(ViTMAEForPreTraining.from_pretrained(release))
    said = json.loads((release / "preprocessor_config.json").read_text())
    assert (said["image_mean"], said["image_std"]) == ([0.5], [0.25])
    with killed_at(monkeypatch, checkpoints, "save_checkpoint", 6, after=True):
        carry(digits(**start), tmp_path / "killed", tmp_path)
    assert_same(run_of(carry(digits(**start), tmp_path / "killed", tmp_path)).folder, run.folder)


def test_the_pixels_that_a_model_reads_are_measured_and_trained_alike(
    lived: Run, tmp_path: Path
) -> None:
    """Its first loss is that of the same weights on pixels normalised by hand."""
    start = from_encoder(lived, tmp_path / "encoder")
    run = run_of(carry(digits(**start), tmp_path / "runs", tmp_path))
    work = open_work(run.folder, 0, Listener(), fresh=True)
    batch = work.batch_at(1)
    work.writer.close()
    plain: Any = work.model.eval()
    noise = mask_noise(batch.keys_N, 16)
    with torch.no_grad():
        expected = float(plain((batch.pixels_NCHW - 0.5) / 0.25, noise=noise).loss)
    assert run.read("metrics")[0]["loss"] == pytest.approx(expected, rel=1e-5)


def test_a_dry_run_counts_and_takes_real_steps(tmp_path: Path) -> None:
    plan = draw_plan(digits(), tmp_path, Listener())
    assert plan.tokens_per_second > 0 and plan.memory_bytes > 0
    assert plan.arms[0].stages[0].flops > 0


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"sources__text": {"installed": "english"}}, "'text' is text and 'low' is pictures"),
        ({"model": {"preset": "olmo2", "hidden": 16, "layers": 1}}, "preset olmo2 reads text"),
        ({"train__objective": {"kind": "causal"}}, "causal is not for these sources"),
        ({"model": {"from": "mae"}}, "train.objective: missing; a loaded vision model draws"),
        (
            {
                "model": {"from": "r.safetensors", "pixel_mean": [0.5], "pixel_deviation": [1]},
                "train__objective": {"kind": "masked_patches"},
            },
            "r.safetensors is a ResNet-50, which masked_patches cannot train",
        ),
        ({"tokenizer": {"vocab_size": 300}}, "tokenizer is for text; remove it"),
        ({"held_out": {"fraction": 0.2, "tokens": 500}}, "held_out.tokens is for text"),
        ({"train__z_loss": 1e-4}, "train.z_loss is for text"),
        ({"train__augment": {"cutmix": 0.5}}, "train.augment.cutmix: mixes classes, got 0.5"),
        ({"train__sequence_length": 8}, "train.sequence_length is for text"),
        ({"model__patch": None}, "patch: for vit and vit_mae alone, got none; set it"),
        ({"stages__0__tokens": 8}, "needs one length: .* got tokens and images"),
        (
            {"stages__1__train": {"objective": {"kind": "classification"}}},
            "learns classification after masked_patches, which needs another head",
        ),
    ],
)
def test_recipes_that_mix_text_and_pictures_are_refused(changes: dict, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        digits(**changes)


def test_pictures_are_changed_and_texts_are_not() -> None:
    with pytest.raises(InputError, match=r"train.augment is for pictures; remove it"):
        tiny(train__augment={"flip": True})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"model__patch": 3}, "model.patch: 3 does not divide pictures of 8 pixels"),
        ({"model__patch": 1}, "a patch of 1 pixel has no deviation"),
        (
            {"train__objective": {"kind": "masked_patches", "fraction": 0.95}},
            "0.95 of 16 patches leaves 0 in sight",
        ),
        ({"sources__high__size": 16}, "sources.high: pictures of 16 x 16 .*low has 8 x 8"),
        ({"train__objective": {"kind": "classification"}}, "vit_mae cannot be trained by class"),
        (
            {
                **CLASSES,
                "train__objective": {
                    "kind": "classification",
                    "labels": [*"0123456789", "11"],
                    "weights": "balanced",
                },
            },
            "no training picture has the label '11'",
        ),
    ],
)
def test_what_does_not_fit_the_pictures_is_refused(
    changes: dict, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        carry(digits(**changes), tmp_path, tmp_path)
    assert not (tmp_path / "digits" / "main" / "metrics.jsonl").exists()


def test_repeats_across_the_split_stop_before_training(tmp_path: Path) -> None:
    films = np.random.default_rng(0).integers(0, 256, (80, 8, 8), dtype=np.uint8)
    films[70] = films[3]
    save_films(tmp_path, train_images=films[:60], test_images=films[60:])
    recipe = digits(
        sources={"films": {"images": ["films.npz"]}},
        stages=[{"name": "one", "data": "films", "images": 2 * PER_STEP}],
    )
    with pytest.raises(InputError, match=r"1 pictures occur twice.*\(1 in training and held out\)"):
        carry(recipe, tmp_path, tmp_path)
    assert not (tmp_path / "digits" / "main" / "metrics.jsonl").exists()


def test_changed_files_under_data_that_was_read_are_said(tmp_path: Path) -> None:
    films = np.random.default_rng(0).integers(0, 256, (80, 8, 8), dtype=np.uint8)
    save_films(tmp_path, images=films)
    recipe = digits(
        sources={"films": {"images": ["films.npz"]}},
        stages=[{"name": "one", "data": "films", "images": 2 * PER_STEP}],
    )
    carry(recipe, tmp_path, tmp_path)
    save_films(tmp_path, images=films[::-1].copy() ^ 1)
    said: list[str] = []
    carry(recipe, tmp_path, tmp_path, Listener(say=said.append))
    assert said[0].startswith("films: its files changed since its data was made; what was read")


def test_a_stage_that_was_added_leaves_no_holes(tmp_path: Path) -> None:
    """Losses, probes and sheets of first weights and earlier releases, as if planned at once."""
    recipe = {"evaluate__every": 0, "replay__fraction": 0}
    one = digits(stages=DIGITS["stages"][:1], **recipe)
    carry(one, tmp_path / "added", tmp_path)
    added = run_of(carry(digits(**recipe), tmp_path / "added", tmp_path))
    planned = run_of(carry(digits(**recipe), tmp_path / "planned", tmp_path))
    assert scores_of(added.folder) == scores_of(planned.folder)
    assert len(scores_of(added.folder)) == 3 * 2 * 4  # releases, sources; loss, probes, sheet twice


def test_probes_leave_out_what_has_no_label_and_say_so(tmp_path: Path) -> None:
    for number in range(150):
        write_png(tmp_path / f"films/{number}.png", number, height=8, width=8)
    labels = ["" if n % 10 == 0 else "ab"[n % 2] for n in range(150)]
    patients = [f"p{n // 3}" for n in range(150)]
    for name, column in (("some", labels), ("each", [str(n) for n in range(150)])):
        rows = [f"films/{n}.png,{x},{patients[n]}" for n, x in enumerate(column)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["image,label,patient", *rows]) + "\n")
    said: list[str] = []
    source = {"images": ["films/*.png"]}
    stage = {"name": "one", "images": 2 * PER_STEP}
    for name in ("some", "each"):
        recipe = digits(
            name=name,
            sources={name: {**source, "manifest": f"{name}.csv"}},
            stages=[{**stage, "data": name}],
            evaluate__every=0,
        )
        run = run_of(carry(recipe, tmp_path, tmp_path, Listener(say=said.append)))
        if name == "some":
            (held,) = (s.rows["held_out"] for s in opened(run).values())
            lines = [*probes_at(run, None), *probes_at(run, "one")]
            for counts in (line.counts for line in lines):
                assert counts["num_pictures"] == sum(x is not None for x in held["label"])
                assert counts["num_unlabelled"] == held["label"].count(None) > 0
                assert counts["num_trained"] == 135 - counts["num_pictures"]
            counts = losses_at(run, "one")["some"].counts
            assert counts["num_patients"] == len(set(held["patient"])) < counts["num_pictures"]
            assert len(lines) == 6
        else:
            assert probes_at(run, None) == probes_at(run, "one") == []
    assert "some: probes leave out 15 pictures without a label" in said
    assert "each: no probe, no label has two training pictures" in said


def opened(run: Run) -> dict[str, Any]:
    work = open_work(run.folder, 0, Listener(), fresh=True)
    work.writer.close()
    return dict(work.opened.stocks)


def test_a_loss_that_is_no_number_is_called_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "evergrow.objectives.patches.reconstruction_errors",
        lambda model, pixels, noise: np.full(len(pixels), np.nan),
    )
    with pytest.raises(EvergrowError, match="the loss on held-out low is nan, not a finite number"):
        carry(digits(), tmp_path, tmp_path)


@pytest.mark.parametrize(
    ("num_steps", "sentence"),
    [(12, "10 steps in a row were skipped"), (4, "all 4 steps of low were skipped")],
)
def test_training_without_a_finite_loss_fails_and_says_why(
    num_steps: int, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not that its metrics, which have no number for it, are damaged."""
    real = patches.patches_loss

    def broken(*args: Any) -> Loss:
        total = real(*args).total * np.nan
        return Loss(total, {"squared_error": total})

    monkeypatch.setattr(patches, "patches_loss", broken)
    recipe = digits(stages__0__images=num_steps * PER_STEP, evaluate__every=0)
    with pytest.raises(EvergrowError, match=sentence):
        carry(recipe, tmp_path, tmp_path)


def test_texts_are_no_way_to_go_on_with_a_model_of_pictures(lived: Run, tmp_path: Path) -> None:
    folder = str(lived.folder / "releases" / "high")
    rate = {"schedule.peak_lr": 1e-3}
    with pytest.raises(InputError, match="ViTMAEForPreTraining reads pictures, --data names texts"):
        continue_model(folder, ["*.png"], 800, "films", tmp_path, Listener(), rate)
