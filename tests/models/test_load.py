"""What loads is whole; everything else is refused in one sentence."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import (
    AutoModelForCausalLM,
    BertConfig,
    BertForMaskedLM,
    BertLMHeadModel,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.lineage import Node
from evergrow.models.config import ModelConfig, Preset
from evergrow.models.find import find_model
from evergrow.models.load import (
    empty_model,
    kind_in,
    load_model,
    model_from_config,
    model_key,
)
from evergrow.models.presets import PRESETS, from_scratch
from evergrow.models.save import save_release


@pytest.fixture
def folder(tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Path:
    path = tmp_path / "release"
    save_release(path, model, tokenizer, "card", {})
    return path


def edit_json(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_berts_hub_format_loads_without_its_other_heads(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    """As bert-base-uncased lies there: gamma and beta, a pooler and a next-sentence head."""
    config = ModelConfig(preset="bert", hidden=16, layers=1, heads=2)
    model = from_scratch(config, tokenizer, 24, 0)
    save_release(tmp_path, model, tokenizer, "card", {})

    def as_on_the_hub(weights: dict[str, Tensor]) -> None:
        for name in list(weights):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
            weights[old.replace("LayerNorm.bias", "LayerNorm.beta")] = weights.pop(name)
        weights["bert.pooler.dense.weight"] = torch.ones(16, 16)
        weights["bert.pooler.dense.bias"] = torch.ones(16)
        weights["cls.seq_relationship.weight"] = torch.ones(2, 16)
        weights["cls.seq_relationship.bias"] = torch.ones(2)

    edit_weights(tmp_path, as_on_the_hub)
    assert "bert.embeddings.LayerNorm.gamma" in load_file(tmp_path / "model.safetensors")
    loaded = load_model(tmp_path).state_dict()
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded[name], weight), name


def test_a_tied_config_with_another_head(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    config = ModelConfig(preset="olmo2", hidden=16, layers=1, tied=True)
    save_release(tmp_path, from_scratch(config, tokenizer, 24, 0), tokenizer, "card", {})
    edit_weights(tmp_path, lambda w: w.update({"lm_head.weight": torch.ones(len(tokenizer), 16)}))
    with pytest.raises(
        InputError, match=r"ties lm_head.weight to model.embed_tokens.weight, the f"
    ):
        load_model(tmp_path)
    edit_json(tmp_path / "config.json", tie_word_embeddings=False)
    assert bool((load_model(tmp_path).get_output_embeddings().weight == 1).all())


def test_what_cannot_be_trained_is_refused_at_once(
    folder: Path, tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise NotImplementedError("no kernel for this\nand more lines")

    monkeypatch.setattr("transformers.models.olmo2.modeling_olmo2.Olmo2MLP.forward", fails)
    config = ModelConfig.model_validate({"from": str(folder)})
    with pytest.raises(
        InputError, match=r"it failed on 24 tokens \(no kernel for this\); give"
    ) as said:
        model_from_config(config, tokenizer, 24, 0)
    assert "\n" not in str(said.value)


def test_a_causal_model_that_sees_ahead_is_refused(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    settings = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    encoder = BertConfig(**settings, vocab_size=len(tokenizer), intermediate_size=16)
    BertLMHeadModel(encoder).save_pretrained(tmp_path)
    config = ModelConfig.model_validate({"from": str(tmp_path)})
    with pytest.raises(
        InputError, match=r"a BertLMHeadModel .* sees the tokens that it is to tell"
    ):
        model_from_config(config, tokenizer, 24, 0)
    edit_json(tmp_path / "config.json", is_decoder=True)
    loaded = model_from_config(config, tokenizer, 24, 0)
    assert not loaded.training
    assert all(parameter.grad is None for parameter in loaded.parameters())


def test_the_same_weights_in_fp32_with_sdpa(folder: Path, model: PreTrainedModel) -> None:
    model.half().save_pretrained(folder)
    before = torch.get_rng_state()
    loaded = load_model(folder)
    assert torch.equal(torch.get_rng_state(), before)
    assert loaded.config._attn_implementation == "sdpa"
    assert not loaded.training
    for name, weight in loaded.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, model.state_dict()[name].float())


def test_a_tied_model_needs_its_table_once(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    config = ModelConfig(preset="olmo2", hidden=16, layers=1, tied=True)
    save_release(tmp_path / "a", from_scratch(config, tokenizer, 24, 0), tokenizer, "card", {})
    assert "lm_head.weight" not in load_file(tmp_path / "a" / "model.safetensors")
    loaded = load_model(tmp_path / "a")
    assert loaded.get_output_embeddings().weight is loaded.get_input_embeddings().weight


def test_other_architectures_load(tmp_path: Path) -> None:
    config = GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=8)
    config.eos_token_id = config.bos_token_id = 0
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "a")
    assert type(load_model(tmp_path / "a")).__name__ == "GPT2LMHeadModel"


def test_sharded_weights_load_and_a_lost_shard_is_refused(
    folder: Path, model: PreTrainedModel
) -> None:
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert torch.equal(load_model(folder).lm_head.weight, model.lm_head.weight)
    shard = sorted(folder.glob("model-00002-*.safetensors"))[0]
    shard.unlink()
    with pytest.raises(InputError, match=rf"{shard.name} is missing, which model.safetensors.ind"):
        load_model(folder)


def test_a_missing_folder() -> None:
    with pytest.raises(InputError, match="not/here: no such file or folder; give a model folder"):
        find_model("./not/here")
    with pytest.raises(InputError, match="no such file or folder"):
        find_model(Path("not-here"))
    with pytest.raises(InputError, match="runs/not/here: no such file or folder"):
        find_model("runs/not/here")


def test_a_hub_id_is_not_asked_for_when_offline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(InputError, match=r"nobody/nothing: no folder of this name, and not to be"):
        find_model("nobody/nothing")
    with pytest.raises(InputError, match=r"no folder of this name.*[Rr]epo id must use"):
        find_model("not a hub id")


def test_a_folder_without_config(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(InputError, match=r"no model here \(config.json is missing\)"):
        load_model(folder)


def test_a_config_that_is_no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config.json: damaged"):
        load_model(folder)


def test_remote_code(folder: Path) -> None:
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "mine.Mine"})
    with pytest.raises(InputError, match=r"names code to run \(auto_map\), which is never run"):
        load_model(folder)


def test_quantised_weights(folder: Path) -> None:
    edit_json(folder / "config.json", quantization_config={"quant_method": "gptq"})
    with pytest.raises(InputError, match="quantised and cannot be trained"):
        load_model(folder)


def test_pickled_weights_are_not_opened(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"only pickled weights \(pytorch_model.bin\)"):
        load_model(folder)


def test_no_weights_at_all(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="no weights here"):
        load_model(folder)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights(folder: Path, kept: int) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"model.safetensors: truncated or damaged"):
        load_model(folder)


def test_missing_weights_are_named(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop("model.layers.1.mlp.up_proj.weight"))
    with pytest.raises(
        InputError,
        match=r"weights of Olmo2ForCausalLM are missing \(model.layers.1.mlp.up_proj.weight\)",
    ):
        load_model(folder)


def test_many_missing_weights_are_counted(folder: Path) -> None:
    edit_json(folder / "config.json", num_hidden_layers=3)
    with pytest.raises(InputError, match=r"model.layers.2.* and 8 more\); copy the whole model"):
        load_model(folder)


def test_a_table_that_is_missing_though_nothing_is_tied_to_it(folder: Path) -> None:
    edit_weights(folder, lambda weights: weights.pop("lm_head.weight"))
    with pytest.raises(InputError, match=r"missing \(lm_head.weight\)"):
        load_model(folder)


def test_weights_of_another_size(folder: Path) -> None:
    edit_json(folder / "config.json", intermediate_size=48)
    with pytest.raises(
        InputError,
        match=r"down_proj.weight is \(16, 64\) in the file and \(16, 48\) by config.json \(6 such",
    ):
        load_model(folder)


def test_weights_without_a_place(folder: Path) -> None:
    extra = {"model.layers.0.self_attn.q_proj.bias": torch.ones(16)}
    edit_weights(folder, lambda weights: weights.update(extra))
    with pytest.raises(InputError, match=r"has no place for weights in the file \(model.layers.0"):
        load_model(folder)


def test_a_masked_model_is_loaded_with_its_head(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    config = ModelConfig(preset="bert", hidden=16, layers=2, heads=2)
    model = from_scratch(config, tokenizer, 24, seed=3)
    save_release(tmp_path / "a", model, tokenizer, "card", {})
    loaded = load_model(tmp_path / "a")
    assert type(loaded) is BertForMaskedLM
    for name, weight in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], weight), name
    assert loaded.cls.predictions.decoder.weight is loaded.get_input_embeddings().weight


@pytest.mark.parametrize("preset", PRESETS)
def test_an_empty_model_is_of_the_class_whose_configuration_was_kept(
    preset: Preset, tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    config = ModelConfig(preset=preset, hidden=16, layers=2, heads=2)
    model = from_scratch(config, tokenizer, 24, seed=3)
    model.config.save_pretrained(tmp_path)
    empty = empty_model(tmp_path)
    assert type(empty) is type(model)
    assert {n: p.shape for n, p in empty.named_parameters()} == {
        n: p.shape for n, p in model.named_parameters()
    }


def test_a_masked_model_without_its_head_is_not_whole(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    config = ModelConfig(preset="bert", hidden=16, layers=2, heads=2)
    model = from_scratch(config, tokenizer, 24, seed=3)
    save_release(tmp_path / "a", model, tokenizer, "card", {})
    edit_weights(tmp_path / "a", lambda weights: weights.pop("cls.predictions.bias"))
    with pytest.raises(InputError, match="weights of BertForMaskedLM are missing"):
        load_model(tmp_path / "a")


def test_an_architecture_that_is_no_language_model(folder: Path) -> None:
    edit_json(folder / "config.json", architectures=["BertForSequenceClassification"])
    with pytest.raises(InputError, match="Classification is no model that evergrow trains"):
        load_model(folder)


def test_a_model_of_text_and_images_is_not_loaded_for_its_text(folder: Path) -> None:
    edit_json(folder / "config.json", architectures=["Gemma3ForConditionalGeneration"])
    with pytest.raises(InputError, match="Gemma3ForConditionalGeneration is no model"):
        load_model(folder)


def test_no_architecture(folder: Path) -> None:
    edit_json(folder / "config.json", architectures=None)
    with pytest.raises(InputError, match="architecture none is no model"):
        load_model(folder)


def test_a_recipe_starts_from_scratch_or_from_a_folder(
    folder: Path, config: ModelConfig, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel
) -> None:
    drawn = model_from_config(config, tokenizer, 24, seed=3)
    given = ModelConfig.model_validate({"from": str(folder)})
    loaded = model_from_config(given, tokenizer, 24, seed=99)
    for name, weight in model.state_dict().items():
        assert torch.equal(drawn.state_dict()[name], weight)
        assert torch.equal(loaded.state_dict()[name], weight)


def test_every_row_of_a_loaded_embedding_can_be_trained(
    folder: Path, tokenizer: PreTrainedTokenizerBase
) -> None:
    edit_json(folder / "config.json", pad_token_id=0)
    assert AutoModelForCausalLM.from_pretrained(folder).get_input_embeddings().padding_idx == 0
    given = ModelConfig.model_validate({"from": str(folder)})
    model = model_from_config(given, tokenizer, 24, seed=0)
    model(input_ids=torch.tensor([[0, 5]]), labels=torch.tensor([[0, 5]])).loss.backward()
    assert model.get_input_embeddings().weight.grad[0].norm() > 0


def test_a_model_must_fit_the_tokenizer_and_the_window(
    tmp_path: Path, tokenizer: PreTrainedTokenizerBase, folder: Path
) -> None:
    given = ModelConfig.model_validate({"from": str(folder)})
    with pytest.raises(InputError, match=r"train.sequence_length: 25 is longer than the 24 posit"):
        model_from_config(given, tokenizer, 25, seed=0)
    config = GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=8)
    config.eos_token_id = config.bos_token_id = 0
    GPT2LMHeadModel(config).save_pretrained(tmp_path / "gpt2")
    small = ModelConfig.model_validate({"from": str(tmp_path / "gpt2")})
    with pytest.raises(InputError, match="tokenizer has 270 ids, the model's embedding 50 rows"):
        model_from_config(small, tokenizer, 8, seed=0)


NODE = Node(key="k", kind="stage", name="english", parents=[])


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"]
)
def test_a_file_that_is_not_the_one_its_node_names_is_refused(
    name: str, tmp_path: Path, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase
) -> None:
    folder = tmp_path / "release"
    save_release(folder, model, tokenizer, "card", NODE.to_data())
    (folder / "README.md").write_text("a card of somebody else")
    load_model(folder)
    path = folder / name
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(data)
    for use in (load_model, model_key):
        with pytest.raises(InputError) as caught:
            use(folder)
        assert str(caught.value) == (
            f"{path}: damaged or changed (its bytes are not those that evergrow.json names); copy "
            "the folder again, or, if this is on purpose, delete evergrow.json in a copy of the "
            "folder"
        )
    (folder / "evergrow.json").unlink()
    if name == "model.safetensors":
        load_model(folder)


def test_the_key_of_a_model_is_of_what_it_computes(folder: Path, tmp_path: Path) -> None:
    key = model_key(folder)
    moved = folder.rename(tmp_path / "elsewhere")
    (moved / "README.md").write_text("another card")
    (moved / "evergrow.json").unlink()
    assert model_key(moved) == key
    keys = {key}
    edit_json(moved / "config.json", rms_norm_eps=1e-4)
    keys.add(model_key(moved))
    edit_weights(moved, lambda weights: weights["lm_head.weight"].add_(1))
    keys.add(model_key(moved))
    edit_json(moved / "tokenizer.json", truncation={"max_length": 8})
    keys.add(model_key(moved))
    assert len(keys) == 4


def test_the_kind_of_a_folder_is_that_of_its_architecture(folder: Path) -> None:
    assert kind_in(folder, of_pictures=False) == "causal"
    edit_json(folder / "config.json", architectures=["BertForMaskedLM"])
    assert kind_in(folder, of_pictures=False) == "masked"
    edit_json(folder / "config.json", auto_map={"AutoModelForCausalLM": "mine.Mine"})
    with pytest.raises(InputError, match=r"names code to run \(auto_map\)"):
        kind_in(folder, of_pictures=False)


@pytest.mark.parametrize(
    ("architectures", "kind"),
    [
        (["ViTMAEForPreTraining"], "patches"),
        (["ViTForImageClassification"], "classes"),
        (["ViTModel"], "classes"),
        ([], "classes"),
    ],
)
def test_a_body_of_pictures_is_a_classifier_to_be(
    architectures: list[str], kind: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": architectures}))
    assert kind_in(tmp_path, of_pictures=True) == kind
