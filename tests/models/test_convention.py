"""A document begins as its tokenizer begins a text."""

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast
from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.models.convention import begins_by_itself, first_id

IDS = {"<s>": 0, "</s>": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "[gMASK]": 5}


def tokenizer_of(template: str | None, **special: str) -> PreTrainedTokenizerFast:
    bare = Tokenizer(models.WordLevel(IDS, unk_token="a"))
    bare.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore
    if template:
        bare.post_processor = processors.TemplateProcessing(  # pyright: ignore
            single=template, special_tokens=[(n, i) for n, i in IDS.items() if n != "a"]
        )
    return PreTrainedTokenizerFast(tokenizer_object=bare, **special)


@pytest.mark.parametrize(
    ("template", "special", "first", "own"),
    [
        ("<s> $A", {"bos_token": "<s>", "eos_token": "</s>"}, 0, True),  # Llama, Gemma
        ("<s> $A </s>", {"bos_token": "<s>", "eos_token": "</s>"}, 0, True),
        ("$A </s>", {"bos_token": "<s>", "eos_token": "</s>"}, 1, False),  # T5
        (None, {"bos_token": "<s>", "eos_token": "</s>"}, 1, False),  # BOS is there, never used
        (None, {"eos_token": "</s>"}, 1, False),  # GPT-2, Qwen
        ("</s> $A", {"bos_token": "</s>", "eos_token": "</s>"}, 1, False),  # OPT
        ("[CLS] $A [SEP]", {"cls_token": "[CLS]", "eos_token": "[SEP]"}, 2, True),  # BERT
        ("[gMASK] <s> $A", {"eos_token": "</s>"}, 0, True),  # GLM
        (None, {}, None, False),
    ],
)
def test_what_begins_a_document(
    template: str | None, special: dict[str, str], first: int | None, own: bool
) -> None:
    tokenizer = tokenizer_of(template, **special)
    assert first_id(tokenizer) == first
    assert begins_by_itself(tokenizer) == own


def test_a_tokenizer_of_evergrow_begins_with_eos(tokenizer: PreTrainedTokenizerBase) -> None:
    assert first_id(tokenizer) == tokenizer.eos_token_id
