"""How a document begins, by the convention of its tokenizer."""

from typing import Any

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.models.presets import token_id


def first_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The id that stands before a document's first token, in training, measuring and sampling.

    It is what the tokenizer itself puts before a text when it is asked for special tokens: BOS of
    Llama and Gemma, the class token of BERT, the last one where there are several. One that puts
    nothing there (GPT-2, OLMo, Qwen) leaves a document to begin after the EOS of another: EOS, or
    None where it has none.
    """
    plain: list[int] = tokenizer.encode("a", add_special_tokens=False)
    whole: list[int] = tokenizer.encode("a", add_special_tokens=True)
    places = range(len(whole) - len(plain) + 1)
    start = next((i for i in places if whole[i : i + len(plain)] == plain), 0)
    return whole[start - 1] if start else token_id(tokenizer, "eos")


def begins_by_itself(tokenizer: Any) -> bool:
    """Whether a document begins with a token of its own, another than the EOS before it."""
    return first_id(tokenizer) != token_id(tokenizer, "eos")
