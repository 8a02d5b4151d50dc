"""Dense models as mixtures: equal experts keep the function; only what is asked for is drawn."""

import json
from pathlib import Path

import pytest
import torch
from grow.folders import load, save
from grow.tiny import inputs
from safetensors.torch import load_file
from transformers import MixtralForCausalLM, PreTrainedModel, Qwen3MoeForCausalLM

from evergrow.errors import InputError
from evergrow.grow.config import Experts, GrowConfig
from evergrow.grow.folder import grow_folder
from evergrow.grow.verify import verify_folders

KINDS: dict[str, type[PreTrainedModel]] = {
    "llama": MixtralForCausalLM,
    "mistral": MixtralForCausalLM,
    "qwen3": Qwen3MoeForCausalLM,
}
FOUR = GrowConfig(experts=Experts(number=4))


@pytest.mark.parametrize("family", list(KINDS))
def test_equal_experts_are_the_dense_model(family: str, tmp_path: Path) -> None:
    source = save(tmp_path / "source", family)
    record = grow_folder(tmp_path / "source", FOUR, tmp_path / "grown")
    grown = load(tmp_path / "grown", KINDS[family])
    with torch.no_grad():
        apart = (grown(**inputs(source)).logits - source(**inputs(source)).logits).abs().max()
    assert apart < 1e-4
    assert record["exactness"] == "exact"
    assert record["verification"]["difference"]["maximum"] <= record["verification"]["limit"]
    assert 0.3 < record["verification"]["gradient_norm"]["ratio"] < 3
    assert verify_folders(tmp_path / "source", tmp_path / "grown")["problems"] == []
    # two of four: a token meets twice the feed-forward, whatever there is
    ffn = 3 * 3 * 48 * 112
    cost = record["cost"]
    assert (
        cost["grown"]["num_parameters"] - cost["source"]["num_parameters"] == 3 * ffn + 3 * 4 * 48
    )
    more = cost["grown"]["flops_per_token"] - cost["source"]["flops_per_token"]
    assert more == 6 * (ffn + 3 * 4 * 48)


def test_a_mixture_grows_in_width_and_depth_at_once(tmp_path: Path) -> None:
    save(tmp_path / "source", "qwen3", dtype=torch.bfloat16)
    grow = GrowConfig(experts=Experts(number=3), to={"ffn": 224, "layers": 4})
    record = grow_folder(tmp_path / "source", grow, tmp_path / "grown")
    assert record["exactness"] == "exact"
    config = json.loads((tmp_path / "grown/config.json").read_text())
    assert (config["moe_intermediate_size"], config["num_experts"]) == (224, 3)
    assert load(tmp_path / "grown", Qwen3MoeForCausalLM).config.num_hidden_layers == 4


def test_drop_draws_a_share_of_neurons_anew_the_same_in_all_three(tmp_path: Path) -> None:
    save(tmp_path / "source", "qwen3")
    grow = GrowConfig(experts=Experts(number=2, drop=0.25))
    record = grow_folder(tmp_path / "source", grow, tmp_path / "grown")
    assert record["exactness"] == "lossy"
    assert record["verification"]["limit"] is None
    dense = load_file(tmp_path / "source/model.safetensors")
    grown = load_file(tmp_path / "grown/model.safetensors")
    gone = []
    for expert in range(2):
        here = []
        for matrix, neurons in (("gate_proj", 0), ("up_proj", 0), ("down_proj", 1)):
            before = dense[f"model.layers.1.mlp.{matrix}.weight"]
            after = grown[f"model.layers.1.mlp.experts.{expert}.{matrix}.weight"]
            changed = (before != after).any(1 - neurons)
            drawn = after.movedim(neurons, 0)[changed]
            lost = before.movedim(neurons, 0)[changed]
            assert drawn.std() == pytest.approx(float(lost.std()), rel=0.1)
            here.append(changed.nonzero().flatten().tolist())
        assert len(here[0]) == 28 and here[0] == here[1] == here[2]
        gone.append(here[0])
    assert gone[0] != gone[1]
    assert verify_folders(tmp_path / "source", tmp_path / "grown")["problems"] == []


def test_what_cannot_be_a_mixture_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "gpt2", "gpt2")
    with pytest.raises(InputError, match=r"no mixture of experts is known whose blocks are gpt2's"):
        grow_folder(tmp_path / "gpt2", FOUR, tmp_path / "grown")
    save(tmp_path / "biased", "llama", attention_bias=True)
    with pytest.raises(InputError, match=r"mixtral cannot have attention_bias=True"):
        grow_folder(tmp_path / "biased", FOUR, tmp_path / "grown")
    with pytest.raises(ValueError, match=r"5 experts a token of 4"):
        Experts(number=4, per_token=5)
