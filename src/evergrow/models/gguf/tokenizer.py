"""tokenizer.json out of a GGUF file's head; words are cut as the head says, or it is refused."""

import json
from typing import Any

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.integrations.gguf import convert_gguf_tokenizer, get_gguf_tokenizer
from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS

from evergrow.errors import InputError
from evergrow.models.gguf.file import GgufFile

# tokenizer.ggml.pre -> how text is cut into words before any merge, as llama.cpp's llama-vocab.cpp
# knows it. transformers 5.23 has its table of one regular expression each, and cuts every other
# vocabulary as GPT-2's without a word.
AS_GPT2 = {"gpt-2", "phi-2", "mpt", "olmo", "jais", "roberta-bpe", "trillion", "gigachat"}
# Each digit by itself, then as GPT-2.
DIGITS_APART = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b"}
AS_QWEN2 = {"stablelm2"}
# A word that is in the vocabulary as a whole is taken whole, whatever merges would make of it.
WHOLE_WORDS = {"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0",
               "lfm2", "jina-v5-nano", "tekken"}  # fmt: skip
COMPOSED = {"qwen2", "qwen35", "command-r"}  # their own files normalise text to Unicode's NFC
BYTE_LEVEL = "gpt2"  # tokenizer.ggml.model


def tokenizer_of(file: GgufFile) -> PreTrainedTokenizerFast:
    """The tokenizer that ``file`` describes, with its special tokens and its chat template.

    Raises InputError for a kind of tokenizer that transformers does not build, and for one whose
    rules of cutting words are not known: then other tokens would be trained than the model knows.
    """
    architecture, said, settings = get_gguf_tokenizer(str(file.path))
    try:
        backend, more = convert_gguf_tokenizer(architecture, said)
    except (ValueError, KeyError) as error:
        raise InputError(
            f"{file.path}: its tokenizer ({said.get('tokenizer_type', 'none')}) cannot be built "
            "from GGUF; give the model as a folder"
        ) from error
    backend = _without_made_up(backend, len(said["tokens"]))
    if said["tokenizer_type"] == BYTE_LEVEL:
        _cut_words(backend, _rule(file))
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, clean_up_tokenization_spaces=False, **{**settings, **more}
    )


def _without_made_up(backend: Tokenizer, num_ids: int) -> Tokenizer:
    """``backend`` without what transformers' GPT-2 adds to every vocabulary: <|endoftext|>."""
    told = json.loads(backend.to_str())
    told["added_tokens"] = [added for added in told["added_tokens"] if added["id"] < num_ids]
    return Tokenizer.from_str(json.dumps(told))


def _rule(file: GgufFile) -> str:
    rule = file.metadata.get("tokenizer.ggml.pre")
    known = AS_GPT2 | DIGITS_APART | AS_QWEN2 | GGUF_PRE_TOKENIZER_SPLITS.keys()
    if rule is None or rule not in known:
        what = "does not say" if rule is None else f"says by a name that is not known here ({rule})"
        raise InputError(
            f"{file.path}: {what} how its tokenizer cuts words (tokenizer.ggml.pre); give the "
            "model as a folder with its own tokenizer.json"
        )
    return str(rule)


def _cut_words(backend: Any, rule: str) -> None:
    """Give a byte-level tokenizer what transformers left out of ``rule``."""
    if rule in DIGITS_APART:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Digits(individual_digits=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False),  # pyright: ignore
            ]
        )
    if rule in AS_QWEN2:
        backend.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(GGUF_PRE_TOKENIZER_SPLITS["qwen2"]), "isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),  # pyright: ignore
            ]
        )
    if rule in WHOLE_WORDS:
        backend.model.ignore_merges = True
    if rule in COMPOSED:
        backend.normalizer = normalizers.NFC()
