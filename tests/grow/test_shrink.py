"""A model that gets smaller: what does nothing goes first, and the rest is said to be lost."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from grow.folders import load, save
from grow.test_importance import texts
from grow.test_plan import config_of, refusal
from grow.tiny import TINY, inputs
from safetensors.torch import load_file
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig, numbers_in
from evergrow.grow.folder import grow_folder, look_ahead
from evergrow.grow.importance import Importance
from evergrow.grow.plan import plan_growth
from evergrow.grow.shrink import Pruning, choose, ranges_of
from evergrow.grow.verify import verify_folders
from evergrow.models.families import FAMILIES
from evergrow.models.skeleton import skeleton

TEXTUAL = [name for name in TINY if "image_size" not in TINY[name][1].to_dict()]
# What a neuron needs to be silent: the matrix that gives it, and where its units lie.
GIVERS = {
    "llama": ("mlp.up_proj.weight",),
    "qwen3": ("mlp.up_proj.weight",),
    "olmo2": ("mlp.up_proj.weight",),
    "gpt2": ("mlp.c_fc.weight", "mlp.c_fc.bias"),
    "gpt_neox": ("mlp.dense_h_to_4h.weight", "mlp.dense_h_to_4h.bias"),
    "bert": ("intermediate.dense.weight", "intermediate.dense.bias"),
}


def shrink(folder: Path, settings: dict[str, Any], number: int = 4) -> dict[str, Any]:
    return grow_folder(folder / "source", GrowConfig(**settings), folder / "small", texts(number))


def says(model: PreTrainedModel) -> torch.Tensor:
    with torch.no_grad():
        return model.float()(**inputs(model)).logits


@pytest.mark.parametrize("family", list(GIVERS))
def test_silent_neurons_go_and_nothing_changes(family: str, tmp_path: Path) -> None:
    """Other ones in every block: each loses its own."""
    model, silent = save(tmp_path / "source", family), {}
    for name, weight in model.named_parameters():
        if name.endswith(GIVERS[family]):
            block = FAMILIES[family].block_of(name)
            assert block is not None
            silent[block] = [block + 2 * i for i in range(12)]
            rows = weight.data.T if family == "gpt2" and weight.ndim == 2 else weight.data
            rows[silent[block]] = 0
    model.save_pretrained(tmp_path / "source")
    record = shrink(tmp_path, {"to": {"ffn": 100}})
    for block, kept in enumerate(record["pruning"]["ffn"]):
        assert numbers_in(kept) == [n for n in range(112) if n not in silent[block]]
    assert record["pruning"]["shares"]["ffn"] == pytest.approx(1)
    assert (record["exactness"], record["axes"][0]["exactness"]) == ("none: pruned",) * 2
    small = load(tmp_path / "small", type(model))
    assert (says(small) - says(model)).abs().max() < 1e-4
    assert record["verification"]["text"]["kl"] < 1e-6


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen3", "gemma2"])
def test_a_silent_group_of_heads_goes_and_nothing_changes(family: str, tmp_path: Path) -> None:
    model = save(tmp_path / "source", family)
    for name, weight in model.named_parameters():
        if name.endswith("v_proj.weight"):
            first = 12 * (int(name.split(".")[2]) % 2)  # another key head in every other block
            weight.data[first : first + 12] = 0
    model.save_pretrained(tmp_path / "source")
    record = shrink(tmp_path, {"to": {"heads": 2, "kv_heads": 1}})
    assert record["pruning"]["heads"] == ["2-3", "0-1", "2-3"]
    assert record["pruning"]["kv_heads"] == ["1", "0", "1"]
    assert record["config"]["num_attention_heads"] == [4, 2]
    small = load(tmp_path / "small", type(model))
    assert (says(small) - says(model)).abs().max() < 1e-4


def test_what_grew_by_blocks_shrinks_back_to_the_bit(tmp_path: Path) -> None:
    save(tmp_path / "first", "llama")
    grow_folder(tmp_path / "first", GrowConfig(to={"layers": 5}), tmp_path / "source")
    record = shrink(tmp_path, {"to": {"layers": 3}})
    assert max(record["pruning"]["influence"][i] for i in (2, 4)) < 1e-6
    assert record["pruning"]["blocks"] == "0-1,3"
    first, small = (load_file(tmp_path / f / "model.safetensors") for f in ("first", "small"))
    assert first.keys() == small.keys()
    assert all(torch.equal(first[name], small[name]) for name in first)


def test_a_list_of_blocks_needs_no_text(tmp_path: Path) -> None:
    model = save(tmp_path / "source", "llama", torch.bfloat16)
    record = shrink(tmp_path, {"layers": "0,2"}, number=0)
    assert record["axes"][0]["reason"] == "without 1, as listed"
    assert record["pruning"]["influence"] == []
    small = load_file(tmp_path / "small" / "model.safetensors")
    name = "model.layers.{}.mlp.up_proj.weight"
    assert torch.equal(small[name.format(1)], model.state_dict()[name.format(2)])
    assert name.format(2) not in small


@pytest.mark.parametrize("family", TEXTUAL)
def test_every_family_of_text_shrinks_loads_and_is_verified(family: str, tmp_path: Path) -> None:
    model = save(tmp_path / "source", family)
    cut = {"hidden": 24, "heads": 2}
    cut |= {} if "moe" in family or family == "mixtral" else {"ffn": 60}
    cut |= {} if family == "modernbert" else {"layers": 2}
    record = shrink(tmp_path, {"to": cut})
    small = load(tmp_path / "small", type(model))
    assert sum(p.numel() for p in small.parameters()) == record["cost"]["grown"]["num_parameters"]
    assert record["cost"]["ratios"]["num_parameters"] < 0.7
    assert record["verification"]["limit"] is None
    assert record["verification"]["text"]["kl"] > 0.01
    found = verify_folders(tmp_path / "source", tmp_path / "small", texts())
    assert found["problems"] == []
    assert found["pruning"] == record["pruning"]


def test_half_of_the_text_chooses_and_the_other_is_measured(tmp_path: Path) -> None:
    save(tmp_path / "source", "llama")
    record = shrink(tmp_path, {"to": {"ffn": 60}})
    assert record["pruning"]["num_tokens"] == record["verification"]["text"]["num_tokens"] == 128
    planned = look_ahead(tmp_path / "source", GrowConfig(to={"ffn": 60}), texts(4)[::2]).plan
    assert planned.pruning == Pruning(**record["pruning"])
    with pytest.raises(InputError, match="one half of the text chooses what stays"):
        grow_folder(tmp_path / "source", GrowConfig(to={"ffn": 60}), tmp_path / "other", texts(1))


def test_the_folder_says_what_it_lost(tmp_path: Path) -> None:
    save(tmp_path / "source", "llama")
    record = shrink(tmp_path, {"to": {"ffn": 60, "layers": 2}})
    node = json.loads((tmp_path / "small" / "evergrow.json").read_text())
    assert node["name"] == "source, pruned"
    assert node["details"]["pruned"]["blocks"] == record["pruning"]["blocks"]
    assert "neurons' absolute activation stays" in node["details"]["pruned"]["by"][0]
    text, card = record["verification"]["text"], (tmp_path / "small" / "README.md").read_text()
    assert "# Pruned model" in card
    assert f"does **not** compute what the source does: on text it moved by {text['kl']:.3g}" in (
        card
    )
    bits = text["source_loss"] / torch.log(torch.tensor(2.0)).item()
    assert text["source_bits_per_byte"] == pytest.approx(bits)  # an id is a byte here
    assert record["learning_rate"]["new_parameters"] is None


def test_rows_of_a_table_that_is_scaled_by_the_width_keep_their_size(tmp_path: Path) -> None:
    """Gemma multiplies them by the root of the width, which shrinks."""
    model = save(tmp_path / "source", "gemma")
    record = shrink(tmp_path, {"to": {"hidden": 12}})
    kept = numbers_in(record["pruning"]["hidden"])
    table = load_file(tmp_path / "small" / "model.safetensors")["model.embed_tokens.weight"]
    rows = model.get_input_embeddings().weight.float()[:, kept]  # pyright: ignore
    assert torch.allclose(table, 2 * rows)


def scores(**units: list[float]) -> Importance:
    found = Importance(num_tokens=1, hidden={0: torch.tensor([3.0, 1.0, 2.0])})
    found.influence = {b: torch.tensor([float(b == 1)]) for b in range(2)}
    found.heads = {0: torch.tensor(units["heads"]), 1: torch.tensor(units["heads"][::-1])}
    return found


def test_units_are_chosen_by_hand_numbers() -> None:
    before = {"hidden": 3, "heads": 4, "kv_heads": 2, "ffn": 8, "layers": 2}
    kept = choose(scores(heads=[1, 4, 2, 5]), before, before | {"heads": 2}, None)
    assert (kept.heads, kept.kv_heads, kept.hidden) == (["1,3", "0,2"], ["0-1", "0-1"], None)
    kept = choose(
        scores(heads=[1, 4, 2, 5]), before, before | {"heads": 2, "kv_heads": 1, "hidden": 2}, None
    )
    assert (kept.heads, kept.kv_heads, kept.hidden) == (["2-3", "0-1"], ["1", "0"], "0,2")
    assert kept.shares["hidden"] == pytest.approx(5 / 6)
    assert choose(scores(heads=[1.0] * 4), before, before | {"layers": 1}, None).blocks == "1"
    assert ranges_of(numbers_in("0-2,5,7-8")) == "0-2,5,7-8"


@pytest.mark.parametrize(
    ("family", "settings", "sentence"),
    [
        ("llama", {"to": {"hidden": 24, "ffn": 224}}, "hidden=24, ffn=224: one is smaller than"),
        ("llama", {"to": {"heads": 3, "kv_heads": 1}}, "heads=3, kv_heads=1: 3 query heads would"),
        ("llama", {"to": {"head_dim": 6}}, "head_dim=6: smaller than the source's 12; heads go"),
        ("llama", {"to": {"vocab": 50}}, "vocab=50: smaller than the source's 101; rows go by"),
        ("llama", {"to": {"ffn": 60}, "method": "zero"}, "method=zero: of growth, and sizes"),
        ("llama", {"to": {"layers": 2}, "noise": 0.1}, "noise=0.1: of growth, and sizes shrink"),
        ("gpt2", {"to": {"heads": 2}}, "heads=2: would make heads wider (24 instead of 12); gpt2"),
        ("bert", {"to": {"hidden": 24}}, None),
        ("bert", {"to": {"hidden": 30}}, "hidden=30: bert splits it into heads of 12"),
        ("vit", {"to": {"layers": 2}}, "layers=2: smaller than the source's 3, and a run's model"),
        ("modernbert", {"to": {"layers": 2}}, "layers=2: with model_type=modernbert"),
    ],
)
def test_refusals(family: str, settings: dict[str, Any], sentence: str | None) -> None:
    if sentence is not None:
        assert refusal(config_of(family), **settings).startswith(sentence)
        return
    heads = ["0-1"] * 3
    shares = {"hidden": 0.6, "heads": 0.5}
    kept = Pruning(blocks="0-2", hidden="0-23", heads=heads, kv_heads=heads, shares=shares)
    plan = plan_growth(config_of(family), GrowConfig(**settings), keep=lambda *sizes: kept)
    assert skeleton(plan.target).config.num_attention_heads == 2


@pytest.mark.parametrize(
    ("to", "way_out"),
    [
        ({"layers": 2}, "by --data, or list the blocks that stay by --layers"),
        ({"ffn": 60, "layers": 2}, "what goes is what does least on your text: name some by --da"),
    ],
)
def test_nothing_is_chosen_without_text(to: Any, way_out: str, tmp_path: Path) -> None:
    save(tmp_path, "llama")
    with pytest.raises(InputError) as error:
        look_ahead(tmp_path, GrowConfig(to=to))
    assert way_out in str(error.value)


def test_neurons_of_experts_are_refused(tmp_path: Path) -> None:
    save(tmp_path, "mixtral")
    ahead = partial(look_ahead, tmp_path, texts=texts())
    with pytest.raises(InputError, match="experts of mixtral compute their neurons in one step"):
        ahead(GrowConfig(to={"ffn": 60}))
    assert ahead(GrowConfig(to={"heads": 2})).plan.pruning is not None
