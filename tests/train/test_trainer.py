import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from train.trainer_checkpoint import trained_by_trainer
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from evergrow.errors import InputError
from evergrow.train.trainer import OPTIMIZER, SCHEDULER, STATE, reached, trainer_moments

SIZES: dict[str, Any] = {
    "vocab_size": 40,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "tied llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, tie_word_embeddings=True)),
    "gpt2": lambda: GPT2LMHeadModel(GPT2Config(vocab_size=40, n_embd=16, n_layer=2, n_head=2)),
    "bert": lambda: BertForMaskedLM(BertConfig(**SIZES)),
}


@pytest.fixture
def llama(tmp_path: Path) -> tuple[Path, PreTrainedModel]:
    model = MODELS["llama"]()
    trained_by_trainer(tmp_path, model)
    return tmp_path, model


@pytest.mark.parametrize("name", MODELS)
def test_moments_are_those_of_the_parameters(name: str, tmp_path: Path) -> None:
    model = MODELS[name]()
    optimizer = trained_by_trainer(tmp_path, model)
    found = trainer_moments(tmp_path, model)
    assert len(found.tensors) == 3 * len(optimizer.state)
    for parameter_name, parameter in model.named_parameters():
        for part, tensor in optimizer.state.get(parameter, {}).items():
            assert torch.equal(found.tensors[f"{part}.{parameter_name}"], tensor)
    assert (found.settings.beta2, found.settings.weight_decay) == (0.999, 0.05)


def test_a_norm_that_only_its_class_names_is_told_as_transformers_4_did(tmp_path: Path) -> None:
    model = MODELS["llama"]()
    for layer in model.model.layers:  # weights of a norm whose name does not say so
        layer.ln = layer.input_layernorm
        del layer.input_layernorm
    undecayed = {n for n, _ in model.named_parameters() if ".ln." in n or "norm" in n}
    moments = trained_by_trainer(tmp_path, model, undecayed, trains=False)
    found = trainer_moments(tmp_path, model)
    one = dict(model.named_parameters())["model.layers.1.ln.weight"]
    assert torch.equal(
        found.tensors["exp_avg.model.layers.1.ln.weight"], moments.state[one]["exp_avg"]
    )


def test_how_far_it_came(llama: tuple[Path, PreTrainedModel]) -> None:
    folder, _ = llama
    assert reached(folder) == (3, 5e-4, 1e-3)
    (folder / SCHEDULER).unlink()
    assert reached(folder) == (3, 6e-4, 1e-3)  # as last logged
    (folder / STATE).write_text('{"global_step": 3}')
    assert reached(folder) is None
    (folder / STATE).write_text('{"global_step"')
    with pytest.raises(InputError, match=r"trainer_state.json: damaged .*copy it again or remove"):
        reached(folder)


def rewrite(folder: Path, change: Any) -> None:
    found = torch.load(folder / OPTIMIZER, weights_only=True)
    change(found)
    torch.save(found, folder / OPTIMIZER)


def other_shape(found: Any) -> None:
    found["state"][0]["exp_avg"] = torch.zeros(3, 3)


def one_group(found: Any) -> None:
    found["param_groups"] = found["param_groups"][:1]


def one_parameter_less(found: Any) -> None:
    found["param_groups"][1]["params"].pop()


def adafactor(found: Any) -> None:
    for state in found["state"].values():
        state["exp_avg_sq_row"] = state.pop("exp_avg_sq")


def not_finite(found: Any) -> None:
    found["state"][2]["exp_avg"][0] = float("nan")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (other_shape, "its 16 and 5 parameters are not those of this model"),
        (one_parameter_less, "its 16 and 4 parameters are not those of this model"),
        (one_group, r"is no file of AdamW's state with and without decay \(param_groups.1"),
        (adafactor, r"is no file of AdamW's state with and without decay \(state.0.exp_avg_sq"),
        (not_finite, "exp_avg.model.layers.0.self_attn.k_proj.weight is not finite"),
    ],
)
def test_moments_that_are_not_the_models_are_refused(
    change: Any, reason: str, llama: tuple[Path, PreTrainedModel]
) -> None:
    folder, model = llama
    rewrite(folder, change)
    with pytest.raises(InputError, match=reason):
        trainer_moments(folder, model)


def test_an_order_that_cannot_be_told_is_refused(tmp_path: Path) -> None:
    """Two rules of what decays, both of which fit: which parameter is which is not known."""

    class OddNorm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(4))

    model: Any = nn.ModuleDict({"a_norm": nn.Linear(4, 4, False), "b": OddNorm()})
    model["a_norm"].weight = nn.Parameter(torch.ones(4))
    trained_by_trainer(tmp_path, model, {"b.weight"}, trains=False)
    with pytest.raises(InputError, match="1 and 1 parameters fit this model in more than one"):
        trainer_moments(tmp_path, model)


class Runs:
    """What a pickle could bring: an object that does something when it is made."""

    def __reduce__(self) -> tuple[Any, ...]:
        return shutil.rmtree, (str(Path(__file__).parent / "not there"),)


@pytest.mark.parametrize("kind", ["code", "empty", "cut", "text"])
def test_nothing_of_a_strange_file_is_run(kind: str, llama: tuple[Path, PreTrainedModel]) -> None:
    folder, model = llama
    path = folder / OPTIMIZER
    if kind == "code":
        torch.save({"state": Runs()}, path)
    else:
        whole = path.read_bytes()
        path.write_bytes({"empty": b"", "cut": whole[:-999], "text": b"x" * 99}[kind])
    with pytest.raises(InputError, match=r"optimizer.pt: is no file of AdamW's state"):
        trainer_moments(folder, model)


def test_a_folder_without_moments_says_so(llama: tuple[Path, PreTrainedModel]) -> None:
    folder, model = llama
    (folder / OPTIMIZER).unlink()
    with pytest.raises(InputError, match=r"holds no optimizer.pt"):
        trainer_moments(folder, model)
    assert json.loads((folder / STATE).read_text())["global_step"] == 3
