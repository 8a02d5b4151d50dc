"""Every tensor of every head of every family has a line, and the line fits it."""

import pytest
from grow.tiny import TINY, build, described, tiny
from transformers import (
    BertForPreTraining,
    BertForQuestionAnswering,
    BertForSequenceClassification,
    BertForTokenClassification,
    BertModel,
    DeiTForImageClassificationWithTeacher,
    DeiTForMaskedImageModeling,
    DeiTModel,
    Dinov2Model,
    DistilBertForQuestionAnswering,
    DistilBertForSequenceClassification,
    DistilBertForTokenClassification,
    DistilBertModel,
    ElectraForPreTraining,
    ElectraForQuestionAnswering,
    ElectraForSequenceClassification,
    ElectraForTokenClassification,
    ElectraModel,
    Gemma2ForSequenceClassification,
    Gemma2Model,
    GPT2ForQuestionAnswering,
    GPT2ForSequenceClassification,
    GPT2ForTokenClassification,
    GPT2Model,
    GPTNeoXForSequenceClassification,
    GPTNeoXForTokenClassification,
    GPTNeoXModel,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    LlamaModel,
    ModernBertForSequenceClassification,
    ModernBertForTokenClassification,
    ModernBertModel,
    Olmo2Model,
    Phi3ForSequenceClassification,
    PreTrainedModel,
    Qwen3Model,
    RobertaForSequenceClassification,
    RobertaForTokenClassification,
    RobertaModel,
    StableLmForTokenClassification,
    ViTForMaskedImageModeling,
    ViTMAEModel,
    ViTModel,
    XLMRobertaForSequenceClassification,
    XLMRobertaModel,
)

from evergrow.errors import InputError
from evergrow.grow.config import GrowConfig
from evergrow.grow.layout import line_of
from evergrow.grow.plan import plan_growth
from evergrow.models.families import FAMILIES, family_of

HEADS: list[tuple[str, type[PreTrainedModel]]] = [
    ("bert", BertForPreTraining),
    ("bert", BertForQuestionAnswering),
    ("bert", BertForSequenceClassification),
    ("bert", BertForTokenClassification),
    ("bert", BertModel),
    ("roberta", RobertaForSequenceClassification),
    ("roberta", RobertaForTokenClassification),
    ("roberta", RobertaModel),
    ("gpt2", GPT2ForQuestionAnswering),
    ("gpt2", GPT2ForSequenceClassification),
    ("gpt2", GPT2ForTokenClassification),
    ("gpt2", GPT2Model),
    ("gpt_neox", GPTNeoXForSequenceClassification),
    ("gpt_neox", GPTNeoXForTokenClassification),
    ("gpt_neox", GPTNeoXModel),
    ("llama", LlamaForSequenceClassification),
    ("llama", LlamaForTokenClassification),
    ("llama", LlamaModel),
    ("olmo2", Olmo2Model),
    ("qwen3", Qwen3Model),
    ("vit", ViTForMaskedImageModeling),
    ("vit", ViTModel),
    ("vit_mae", ViTMAEModel),
    ("distilbert", DistilBertForQuestionAnswering),
    ("distilbert", DistilBertForSequenceClassification),
    ("distilbert", DistilBertForTokenClassification),
    ("distilbert", DistilBertModel),
    ("electra", ElectraForPreTraining),
    ("electra", ElectraForQuestionAnswering),
    ("electra", ElectraForSequenceClassification),
    ("electra", ElectraForTokenClassification),
    ("electra", ElectraModel),
    ("modernbert", ModernBertForSequenceClassification),
    ("modernbert", ModernBertForTokenClassification),
    ("modernbert", ModernBertModel),
    ("xlm-roberta", XLMRobertaForSequenceClassification),
    ("xlm-roberta", XLMRobertaModel),
    ("gemma2", Gemma2ForSequenceClassification),
    ("gemma2", Gemma2Model),
    ("phi3", Phi3ForSequenceClassification),
    ("stablelm", StableLmForTokenClassification),
    ("deit", DeiTForImageClassificationWithTeacher),
    ("deit", DeiTForMaskedImageModeling),
    ("deit", DeiTModel),
    ("dinov2", Dinov2Model),
    *((family, kind) for family, (kind, _) in TINY.items()),
]


@pytest.mark.parametrize(("family", "kind"), HEADS, ids=lambda x: getattr(x, "__name__", x))
def test_every_tensor_has_a_line_that_fits(family: str, kind: type[PreTrainedModel]) -> None:
    model = build(kind, TINY[family][1])
    to = {"hidden": 96} | ({"vocab": 128} if "vocab" in FAMILIES[family].fields else {})
    plan = plan_growth(described(model), GrowConfig(to=to))
    larger = kind(type(model.config).from_dict(plan.target)).state_dict()
    for name, tensor in model.state_dict().items():
        shape = line_of(plan, name).grown_shape(name, tuple(tensor.shape))
        assert shape == tuple(larger[name].shape), name


@pytest.mark.parametrize("family", FAMILIES)
def test_depth_runs_from_the_embedding_through_the_blocks_to_the_head(family: str) -> None:
    spec, names = FAMILIES[family], [*tiny(family).state_dict()]
    places = {name: spec.depth_of(name) for name in names}
    assert {p for p in places.values() if isinstance(p, int)} == {0, 1, 2}
    assert all(str(place) in name for name, place in places.items() if isinstance(place, int))
    embed = [n for n, place in places.items() if place == "embed"]
    head = [n for n, place in places.items() if place == "head"]
    assert embed and all("emb" in n or "wte" in n or "wpe" in n for n in embed)
    assert head and not any(n.startswith(("embeddings", "model.embed")) for n in head)
    with pytest.raises(InputError, match=r"made\.up: no line"):
        spec.depth_of("made.up")


def test_places_of_bert_by_hand() -> None:
    bert = FAMILIES["bert"]
    assert bert.depth_of("bert.embeddings.LayerNorm.bias") == "embed"
    assert bert.depth_of("embeddings.word_embeddings.weight") == "embed"
    assert bert.depth_of("bert.encoder.layer.11.output.dense.weight") == 11
    assert bert.depth_of("bert.pooler.dense.weight") == "head"
    assert bert.depth_of("cls.predictions.bias") == "head"


def test_a_decoders_blocks_are_not_the_encoders() -> None:
    mae = FAMILIES["vit_mae"]
    assert mae.depth_of("decoder.decoder_layers.0.mlp.fc1.weight") == "head"
    assert mae.depth_of("vit.encoder.layer.2.output.dense.bias") == 2


def test_buffers_of_old_files_move_with_their_block() -> None:
    neox, name = FAMILIES["gpt_neox"], "gpt_neox.layers.3.attention.masked_bias"
    assert neox.spec_of(name) == "fixed"
    assert neox.block_of(name) == 3
    assert neox.in_block(name, 10) == "gpt_neox.layers.10.attention.masked_bias"
    assert not neox.zeroed(name)
    assert neox.zeroed("gpt_neox.layers.3.attention.dense.bias")


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(InputError, match="model_type None: no family of this name"):
        family_of({})
