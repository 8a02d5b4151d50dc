"""What does nothing counts for nothing, and what is measured is what passes through."""

from pathlib import Path

import pytest
import torch
from grow.folders import save
from grow.tiny import VOCAB

from evergrow.grow.fields import sizes
from evergrow.grow.importance import Importance, importance_of
from evergrow.grow.passes import Batch
from evergrow.grow.stored import open_folder
from evergrow.models.families import FAMILIES


def texts(number: int = 2) -> list[Batch]:
    """Windows of random ids with a byte each, the next id asked for."""
    batches = []
    for seed in range(number):
        generator = torch.Generator().manual_seed(seed)
        ids = torch.randint(1, VOCAB, (4, 16), generator=generator)
        batches.append(Batch({"input_ids": ids}, ids.roll(-1, 1), ids.numel()))
    return batches


def measured(folder: Path) -> Importance:
    source = open_folder(folder)
    family = FAMILIES[source.config["model_type"]]
    return importance_of(source, family, sizes(family, source.config), texts())


def test_influence_is_the_cosine_of_what_goes_in_and_comes_out(tmp_path: Path) -> None:
    model = save(tmp_path, "llama").float()
    found = measured(tmp_path).mean_influence()
    ids = torch.cat([batch.inputs["input_ids"] for batch in texts()])
    with torch.no_grad():
        states = model(input_ids=ids, output_hidden_states=True).hidden_states
    for block in range(2):  # the last state has passed the last norm too
        cosine = torch.cosine_similarity(states[block], states[block + 1], dim=-1)
        assert found[block] == pytest.approx(1 - float(cosine.mean()), abs=1e-5)
    assert len(found) == 3


def test_units_that_give_more_count_more(tmp_path: Path) -> None:
    model = save(tmp_path, "llama")
    plain = measured(tmp_path)
    block = model.model.layers[2]  # pyright: ignore  no block reads what this one's neurons give
    block.mlp.up_proj.weight.data[5] *= 2
    block.mlp.up_proj.weight.data[7] = 0
    block.self_attn.v_proj.weight.data[:12] = 0  # the first key head, read by the first two heads
    model.save_pretrained(tmp_path)
    found = measured(tmp_path)
    assert found.heads[2][:2].tolist() == [0, 0]
    assert (found.heads[2][2:] / plain.heads[2][2:]).tolist() == pytest.approx([1, 1])
    assert found.ffn[2][7] == 0
    assert torch.equal(found.ffn[1], plain.ffn[1])
    assert found.num_tokens == 128


def test_channels_are_summed_over_the_norms(tmp_path: Path) -> None:
    model = save(tmp_path, "llama")
    norms = [m for name, m in model.named_modules() if name.endswith("norm")]
    assert len(norms) == 7
    for norm in norms:
        norm.weight.data[3] = 0  # pyright: ignore
    model.save_pretrained(tmp_path)
    found = measured(tmp_path).hidden[0]
    assert found.shape == (48,)
    assert found[3] == 0
    assert (found[:3] > 0).all()
