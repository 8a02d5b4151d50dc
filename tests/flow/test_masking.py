"""Presets of other families, and the masked objective, carried out as recipes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flow.tiny import PER_STEP, assert_same, carry, killed_at, losses_at, run_of, scores_at, tiny
from transformers import AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer

from evergrow.errors import InputError
from evergrow.flow.dry import draw_plan
from evergrow.flow.look import evaluate, sample
from evergrow.listener import Listener
from evergrow.models.kind import kind_of
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.stage import checkpoints
from evergrow.stage import legs as stage
from evergrow.stage.work import open_work
from evergrow.stream.masks import MaskedBatch
from evergrow.stream.pieces import pieces_of


def masked(**changes: Any) -> Recipe:
    """The tiny recipe with BERT and whole words."""
    bert = {"preset": "bert", "hidden": 16, "layers": 2, "heads": 2}
    whole_words = {"kind": "masked", "whole_words": True}
    return tiny(model=bert, train__objective=whole_words, **changes)


@pytest.fixture(scope="module")
def bert(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Run of the masked recipe, never interrupted."""
    return run_of(carry(masked(), tmp_path_factory.mktemp("bert"), base)).folder


def lines(run: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run / f"{name}.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(
    ("where", "name", "call"),
    [
        (checkpoints, "save_checkpoint", 2),
        (stage, "train_branch", 1),
        (checkpoints, "save_checkpoint", 8),
    ],
    ids=["inside the trunk", "before the anneal", "inside the second stage"],
)
def test_killed_and_run_again_gives_the_same_bytes(
    where: Any, name: str, call: int, base: Path, bert: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    with killed_at(monkeypatch, where, name, call, after=name == "save_checkpoint"):
        carry(masked(), tmp_path, base)
    assert_same(run_of(carry(masked(), tmp_path, base)).folder, bert)


def test_the_release_loads_in_transformers_and_says_how(bert: Path) -> None:
    folder = bert / "releases" / "two"
    model, tokenizer = (
        AutoModelForMaskedLM.from_pretrained(folder),
        AutoTokenizer.from_pretrained(folder),
    )
    assert (tokenizer.mask_token_id, tokenizer.eos_token_id) == (1, 0)
    assert model.config.vocab_size == len(tokenizer) == 300
    ids = torch.tensor([[0, *tokenizer.encode("wave salt "), 1]])
    assert model(input_ids=ids).logits.shape == (1, ids.shape[1], 300)
    assert "AutoModelForMaskedLM.from_pretrained(folder)" in (folder / "README.md").read_text()


def test_it_learns_and_is_measured_like_any_other(bert: Path) -> None:
    losses = [line["loss"] for line in lines(bert, "metrics") if line["leg"] == "trunk"]
    assert losses[0] == pytest.approx(np.log(300), abs=0.1)
    scores = {stage: losses_at(Run(bert), stage) for stage in (None, "one", "two")}
    assert all(found.keys() == {"land", "sea"} for found in scores.values())
    before, after = scores[None]["land"], scores["one"]["land"]
    assert after.loss < before.loss - 0.1
    assert after.low < after.loss < after.high
    assert after.counts["num_bytes"] == before.counts["num_bytes"]
    summary = json.loads((bert.parent / "summary.json").read_text())
    assert summary["status"] == "done"


def test_samples_are_none_and_asking_for_one_is_refused(bert: Path) -> None:
    assert all(score.shown == [] for score in scores_at(Run(bert), "two"))
    with pytest.raises(InputError, match="a masked language model fills gaps and cannot continue"):
        sample(bert, "wave", 4, 0.8, 0)


def test_the_report_is_written_without_samples(
    base: Path, tmp_path: Path, with_pages: None
) -> None:
    recipe = masked(stages=[{"name": "one", "data": "land", "tokens": 4 * PER_STEP}])
    carried = carry(recipe, tmp_path, base)
    page = (carried.folder / "report.html").read_text()
    assert "bits per byte" in page


def test_eval_measures_what_the_run_measured(bert: Path) -> None:
    assert {line.source: line for line in evaluate(bert, [], None)} == losses_at(Run(bert), "two")


def test_a_batch_is_the_same_whenever_it_is_asked_for(bert: Path) -> None:
    works = [open_work(bert, 1, Listener(), fresh=False) for _ in range(2)]
    later, again = (work.batch_at(20) for work in works)
    for work in works:
        work.writer.close()
    assert isinstance(later, MaskedBatch)
    assert isinstance(again, MaskedBatch)
    assert np.array_equal(later.inputs_BT, again.inputs_BT)
    assert works[0].opened.tokenizer is not None
    pieces = pieces_of(works[0].opened.tokenizer)
    words = np.cumsum(pieces.word_starts(later.targets_BT).ravel()) - 1
    shares = np.bincount(words, weights=later.chosen_BT.ravel()) / np.bincount(words)
    assert set(np.unique(shares)) == {0.0, 1.0}


def test_a_dry_run_takes_real_steps(base: Path) -> None:
    plan = draw_plan(masked(), base, Listener())
    assert plan.tokens_per_second > 0


@pytest.mark.parametrize("preset", ["llama", "gpt_neox"])
def test_other_causal_presets_are_carried_out_and_load_in_transformers(
    preset: str, base: Path, tmp_path: Path
) -> None:
    recipe = tiny(
        model={"preset": preset, "hidden": 16, "layers": 2, "heads": 2},
        stages=[{"name": "one", "data": "land", "tokens": 6 * PER_STEP}],
    )
    run = run_of(carry(recipe, tmp_path, base))
    losses = [line["loss"] for line in run.read("metrics") if line["leg"] == "trunk"]
    assert losses[-1] < losses[0] - 0.1
    model = AutoModelForCausalLM.from_pretrained(run.folder / "releases" / "one")
    assert model.config.model_type == preset
    assert len(sample(run.folder, "tree", 4, 0.8, 0)) > 0


def test_one_tokenizer_with_a_mask_serves_causal_and_masked_arms(
    base: Path, tmp_path: Path
) -> None:
    recipe = tiny(
        stages=[{"name": "one", "data": "land", "tokens": 2 * PER_STEP}],
        arms={"left": {}, "both": {"model.preset": "bert", "model.tied": True}},
    )
    assert recipe.hides_tokens
    assert not tiny().hides_tokens
    carried = carry(recipe, tmp_path, base)
    kinds = {}
    for arm in ("left", "both"):
        work = open_work(carried.folder / arm, 0, Listener(), fresh=False)
        work.writer.close()
        kinds[arm] = (kind_of(work.model), work.opened.tokenizer.mask_token_id)
    assert kinds == {"left": ("causal", 1), "both": ("masked", 1)}
    made = json.loads((carried.folder / "tokenizer" / "evergrow_tokenizer.json").read_text())
    assert made["mask"] is True
    with pytest.raises(InputError, match=r"asks for vocab_size 300, but .* and a mask token"):
        carry(tiny(stages=recipe.to_data()["stages"]), tmp_path, base)


def test_a_masked_release_goes_on_as_it_was_trained(bert: Path, base: Path, tmp_path: Path) -> None:
    recipe = tiny(
        model={"from": str(bert / "releases" / "one")},
        tokenizer=None,
        stages=[{"name": "more", "data": "sea", "tokens": 4 * PER_STEP}],
    )
    run = run_of(carry(recipe, tmp_path, base))
    start = losses_at(run, None)["sea"].loss
    assert start == pytest.approx(losses_at(Run(bert), "one")["sea"].loss, rel=0.2)
    causal = tiny(
        model={"from": str(bert / "releases" / "one")},
        tokenizer=None,
        train__objective={"kind": "causal"},
        stages=[{"name": "more", "data": "sea", "tokens": 4 * PER_STEP}],
    )
    with pytest.raises(
        InputError,
        match=r"train.objective: model.from .*one sees both sides of a token, got kind causal",
    ):
        carry(causal, tmp_path / "causal", base)


def test_a_tokenizer_without_a_mask_is_refused(base: Path, whole: Path, tmp_path: Path) -> None:
    folder = {"folder": str(whole.parent / "tokenizer")}
    with pytest.raises(InputError, match="tokenizer: has no mask token, which a masked model"):
        carry(masked(tokenizer=folder), tmp_path, base)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"train__objective": {"kind": "masked"}},
            "recipe: train.objective: preset olmo2 sees only what stands before a token, "
            "got kind masked; set kind: causal, or choose a masked model",
        ),
        (
            {
                "model": {"preset": "bert", "hidden": 16, "layers": 2},
                "train__separate_documents": 1,
            },
            "recipe: train.separate_documents: is for causal models, got true with preset bert",
        ),
        (
            {"train__objective": {"kind": "masked", "fraction": 1}},
            "recipe.train.objective.fraction: .*less than 1, got 1",
        ),
        ({"train__objective": {"kind": "mask"}}, "objective.kind: expected one of causal, masked"),
    ],
)
def test_what_does_not_fit_is_refused_when_the_recipe_is_read(
    changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        tiny(**changes)
