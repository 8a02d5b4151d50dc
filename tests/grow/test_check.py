"""The numbers of a verification: by hand where that can be, else against the plain models."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from grow.folders import save
from torch import Tensor

from evergrow.errors import InputError
from evergrow.grow.check import check_growth
from evergrow.grow.difference import Differences, difference, is_finite
from evergrow.grow.passes import Batch, random_batch
from evergrow.grow.stored import open_folder
from evergrow.models.quiet import undisturbed
from evergrow.models.skeleton import skeleton


def test_differences_by_hand() -> None:
    source = torch.tensor([[[0.0, 0.0], [2.0, 0.0]]])
    grown = torch.tensor([[[0.0, math.log(3)], [2.0, 0.0]]])
    targets = torch.tensor([[1, -100]])
    found = difference(source, grown, True, targets)
    assert found.maximum == pytest.approx(math.log(3))
    assert found.mean == pytest.approx(math.log(3) / 4)
    assert found.scale == pytest.approx(math.sqrt(3) / 2)  # of 0, 0, 2, 0
    # one position: (1/2, 1/2) against (1/4, 3/4); the other agrees
    kl = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert found.kl == pytest.approx(kl / 2)
    assert found.top1_agreement == 0.5
    assert found.new_token_mass is None
    assert found.source_loss == pytest.approx(math.log(2))
    assert found.grown_loss == pytest.approx(math.log(4 / 3))


def test_new_ids_take_mass_and_count_in_the_kl() -> None:
    source, grown = torch.zeros(1, 1, 3), torch.zeros(1, 1, 4)
    found = difference(source, grown, True)
    assert found.maximum == 0
    assert found.new_token_mass == pytest.approx(0.25)
    assert found.kl == pytest.approx(math.log(4 / 3))


def test_batches_add_up_to_the_whole() -> None:
    torch.manual_seed(0)
    source, grown = torch.randn(2, 3, 400, 5)
    parts = Differences(True)
    for rows in (slice(0, 100), slice(100, 400)):
        parts.add(source[:, rows], grown[:, rows])
    whole, summed = difference(source, grown, True), parts.result()
    assert summed.record() == pytest.approx(whole.record())


def test_no_number_is_seen() -> None:
    grown = torch.zeros(1, 2, 2)
    grown[0, 0, 0] = math.nan
    found = difference(torch.zeros(1, 2, 2), grown, False)
    assert not is_finite(found)
    parts = Differences(False)
    parts.add(torch.zeros(1, 2), grown[0, :1])
    parts.add(torch.zeros(1, 2), torch.ones(1, 2))  # a later number does not hide it
    assert math.isnan(parts.result().maximum)


def test_a_model_against_itself_and_a_disturbed_one(tmp_path: Path) -> None:
    model = save(tmp_path / "a", "llama")
    with torch.no_grad():
        model.lm_head.weight[3] += 0.5
    with undisturbed():
        model.save_pretrained(tmp_path / "b")
    a, b = open_folder(tmp_path / "a"), open_folder(tmp_path / "b")
    same = check_growth(a, a, None)
    assert same.difference.maximum == 0
    assert same.problems == []
    assert same.gradients.ratio == 1
    assert [block.ratio for block in same.activations] == [1, 1, 1]
    assert 0 < same.noise.maximum < 1e-4
    assert same.bfloat16 is None  # nothing is stored in it
    other = check_growth(a, b, None)
    assert other.difference.maximum > 0.1
    assert "outputs differ by" in other.problems[0]
    assert check_growth(a, b, None, tolerance=100.0).problems == []
    assert "more than --tolerance 0.01" in check_growth(a, b, None, tolerance=0.01).problems[0]


def test_loss_on_text_is_that_of_the_plain_model(tmp_path: Path) -> None:
    model = save(tmp_path / "a", "gpt2")
    ids = torch.arange(40).reshape(2, 20)
    targets = torch.cat([ids[:, 1:], torch.full((2, 1), -100)], dim=1)
    a = open_folder(tmp_path / "a")
    text: Any = check_growth(a, a, None, [Batch({"input_ids": ids}, targets)]).text
    with torch.no_grad():
        expected = float(model(input_ids=ids, labels=ids).loss)
    assert text["source_loss"] == pytest.approx(expected, rel=1e-5)
    assert text["grown_loss"] == text["source_loss"]
    assert text["num_tokens"] == 40


def test_models_that_are_no_pair_are_refused(tmp_path: Path) -> None:
    save(tmp_path / "a", "llama")
    save(tmp_path / "b", "gpt2")
    with pytest.raises(InputError, match=r"a GPT2LMHeadModel, and .* a LlamaForCausalLM; compare"):
        check_growth(open_folder(tmp_path / "a"), open_folder(tmp_path / "b"), None)


@pytest.mark.parametrize("family", ["vit_mae", "roberta", "llama"])
def test_random_input_fits_the_model_and_is_the_same_every_time(
    family: str, tmp_path: Path
) -> None:
    save(tmp_path / "a", family)
    model = skeleton(open_folder(tmp_path / "a").config)
    first, second = random_batch(model), random_batch(model)
    assert first.inputs.keys() == second.inputs.keys()
    assert all(torch.equal(first.inputs[k], second.inputs[k]) for k in first.inputs)
    if family == "vit_mae":
        assert first.inputs["noise"].shape == (1, 16)
        assert first.targets is None
    else:
        ids, targets = first.inputs["input_ids"], first.targets
        assert isinstance(targets, Tensor)
        if family == "llama":  # the next id; nothing is asked at the end
            assert torch.equal(targets[:, :-1], ids[:, 1:])
            assert (targets[:, -1] == -100).all()
        else:
            assert torch.equal(targets, ids)
