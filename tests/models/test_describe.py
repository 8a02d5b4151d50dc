"""Counts against sums written out by hand."""

import pytest
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    MptConfig,
    MptForCausalLM,
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    RobertaConfig,
    RobertaForMaskedLM,
    ViTConfig,
    ViTForImageClassification,
    ViTMAEConfig,
    ViTMAEForPreTraining,
)
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.models import describe as describing
from evergrow.models.config import ModelConfig
from evergrow.models.describe import (
    ModelFacts,
    context_window,
    describe,
    embedding_parameter_names,
    step_memory,
    undecayed_parameter_names,
)
from evergrow.models.presets import from_scratch

# Width 16, feed-forward 64, 2 blocks, 270 ids: four square matrices and the gains of q, k,
# three matrices of the MLP, two gains a block; one gain at the end; the two tables.
BLOCK = 4 * 16 * 16 + 2 * 16 + 3 * 16 * 64 + 2 * 16
TABLE = 270 * 16


def test_untied_by_hand(model: PreTrainedModel) -> None:
    parameters = 2 * BLOCK + 16 + 2 * TABLE
    assert describe(model, 24) == ModelFacts(
        num_parameters=parameters,
        num_embedding_parameters=TABLE,
        num_layers=2,
        hidden=16,
        flops_per_token=6 * (2 * BLOCK + 16 + TABLE) + 12 * 2 * 16 * 24,
        checkpoint_bytes=12 * parameters,
    )
    assert embedding_parameter_names(model) == {"model.embed_tokens.weight"}


def test_a_tied_table_counts_once_and_does_the_work_of_the_head(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    config = ModelConfig(preset="olmo2", hidden=16, layers=2, heads=2, tied=True)
    model = from_scratch(config, tokenizer, 24, seed=0)
    facts = describe(model, 24)
    assert facts.num_parameters == 2 * BLOCK + 16 + TABLE
    assert facts.num_embedding_parameters == TABLE
    assert facts.flops_per_token == 6 * (2 * BLOCK + 16 + TABLE) + 12 * 2 * 16 * 24
    assert embedding_parameter_names(model) == {"model.embed_tokens.weight", "lm_head.weight"}


def test_learned_positions_are_an_embedding() -> None:
    config = GPT2Config(vocab_size=50, n_embd=16, n_layer=1, n_head=2, n_positions=8)
    model = GPT2LMHeadModel(config)
    block = 2 * 2 * 16 + (16 * 48 + 48) + (16 * 16 + 16) + (16 * 64 + 64) + (64 * 16 + 16)
    facts = describe(model, 8)
    assert facts.num_parameters == block + 2 * 16 + 50 * 16 + 8 * 16
    assert facts.num_embedding_parameters == 50 * 16 + 8 * 16
    assert facts.flops_per_token == 6 * (block + 2 * 16 + 50 * 16) + 12 * 16 * 8
    assert "transformer.wpe.weight" in embedding_parameter_names(model)
    assert context_window(model) == 8


def test_mpt_has_as_many_positions_as_its_alibi() -> None:
    config = MptConfig(vocab_size=9, d_model=8, n_layers=1, n_heads=2, max_seq_len=12)
    model = MptForCausalLM(config).eval()
    assert context_window(model) == 12
    with pytest.raises(RuntimeError):
        model(input_ids=torch.full((1, 13), 5))


def test_a_step_holds_what_autograd_holds(model: PreTrainedModel) -> None:
    # Ids, embedding and position arrays are small beside the blocks; a hand count of the MLP's
    # gate, up, their product and the sigmoid-weighted gate alone is a floor.
    fp32 = 4 * describe(model, 24).num_parameters
    step = step_memory(model, 2, 24)
    assert (step.parameters, step.gradients, step.moments) == (fp32, fp32, 2 * fp32)
    assert step.logits == 3 * 4 * (2 * 24) * 270
    mlp = 2 * 4 * (2 * 24) * 64 * 4
    assert mlp < step.activations < 6 * mlp
    twice = step_memory(model, 4, 24)
    assert (twice.activations, twice.logits) == (2 * step.activations, 2 * step.logits)
    assert step.copy == 3 * fp32
    assert step.total == 7 * fp32 + step.activations + step.logits


def test_frozen_weights_have_no_gradients_and_moments(model: PreTrainedModel) -> None:
    model.model.embed_tokens.weight.requires_grad_(False)
    step, table = step_memory(model, 2, 24), 4 * 270 * 16
    assert step.gradients == step.parameters - table
    assert step.moments == 2 * step.gradients


def test_of_many_logits_a_piece_is_held(
    model: PreTrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describing, "LOGIT_BYTES", 10_000)
    head = 4 * 270 * 16
    assert step_memory(model, 2, 24).logits == 3 * 10_000 + 2 * head
    monkeypatch.setattr(describing, "backbone_and_head", lambda model: None)  # as of Gemma 2
    assert step_memory(model, 2, 24).logits == 3 * 4 * (2 * 24) * 270


def test_describing_leaves_the_model_as_it_was(model: PreTrainedModel) -> None:
    before = torch.get_rng_state()
    step_memory(model, 2, 24)
    assert not model.training
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("length", [8, 24])
def test_attention_grows_with_the_window(model: PreTrainedModel, length: int) -> None:
    difference = describe(model, length).flops_per_token - describe(model, 0).flops_per_token
    assert difference == 12 * 2 * 16 * length


def test_the_tables_of_bert_that_are_only_looked_up_cost_nothing(
    tokenizer: PreTrainedTokenizerBase,
) -> None:
    config = ModelConfig(preset="bert", hidden=16, layers=2, heads=2)
    facts = describe(from_scratch(config, tokenizer, 24, seed=0), 24)
    layer = 4 * (16 * 16 + 16) + (16 * 64 + 64) + (64 * 16 + 16) + 2 * 2 * 16
    head = 270 * 16 + 270 + (16 * 16 + 16) + 2 * 16
    assert facts.num_embedding_parameters == (270 + 24 + 2) * 16
    assert facts.num_parameters == 2 * layer + head + (24 + 2) * 16 + 2 * 16
    assert facts.flops_per_token == 6 * (2 * layer + head + 2 * 16) + 12 * 2 * 16 * 24


def test_positions_of_roberta_begin_after_the_padding_id() -> None:
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "vocab_size": 9}
    model = RobertaForMaskedLM(RobertaConfig(**sizes, max_position_embeddings=14, pad_token_id=1))
    assert context_window(model) == 12
    assert model(input_ids=torch.full((1, 12), 5)).logits.shape == (1, 12, 9)
    with pytest.raises((IndexError, RuntimeError)):
        model(input_ids=torch.full((1, 13), 5))


def test_a_language_model_decays_all_but_its_tables(model: PreTrainedModel) -> None:
    assert undecayed_parameter_names(model) == {"model.embed_tokens.weight"}


SIZES = {
    "hidden_size": 8,
    "num_hidden_layers": 1,
    "num_attention_heads": 1,
    "intermediate_size": 8,
    "image_size": 8,
    "patch_size": 4,
}


@pytest.mark.parametrize(
    "vision",
    [
        ViTForImageClassification(ViTConfig(**SIZES)),
        ViTMAEForPreTraining(
            ViTMAEConfig(
                **SIZES,
                decoder_hidden_size=8,
                decoder_num_hidden_layers=1,
                decoder_num_attention_heads=1,
                decoder_intermediate_size=8,
            )
        ),
        ResNetForImageClassification(
            ResNetConfig(embedding_size=4, hidden_sizes=[4], depths=[1], layer_type="basic")
        ),
    ],
    ids=["vit", "vit_mae", "resnet"],
)
def test_a_vision_model_decays_maps_alone(vision: PreTrainedModel) -> None:
    spared = undecayed_parameter_names(vision)
    for name, parameter in vision.named_parameters():
        bare = name.endswith(("cls_token", "mask_token", "position_embeddings", "pos_embed"))
        assert (name in spared) == (parameter.ndim == 1 or bare), name
