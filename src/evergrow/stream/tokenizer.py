"""Text to tokens: byte-level BPE trained on the run's own text, or a tokenizer from a folder."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from blake3 import blake3
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from evergrow.errors import EvergrowError, InputError
from evergrow.models.convention import begins_by_itself, first_id

EOS, MASK = "<|endoftext|>", "<|mask|>"


def train_tokenizer(
    texts: Iterable[str], vocab_size: int, with_mask: bool = False
) -> PreTrainedTokenizerFast:
    """Byte-level BPE (GPT-2's splitting, no normalisation: it decodes to the same bytes).

    Token 0 is ``<|endoftext|>``; ``with_mask``, token 1 is ``<|mask|>``. The same texts in the
    same order give the same tokenizer; fewer merges than asked for are learnt when the text has no
    more.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[EOS, MASK] if with_mask else [EOS],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token=EOS,
        mask_token=MASK if with_mask else None,
        clean_up_tokenization_spaces=False,
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """The tokenizer of a Hugging Face folder; runs no code from it and asks no network.

    One without an end-of-text token, as BERT's, ends texts with its separator. Raises InputError
    when the folder holds none that loads so, or when it has neither.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give a folder with tokenizer.json")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
    except Exception as error:  # the library raises no narrower one for damage
        reason = str(error).partition("\n")[0]
        raise InputError(
            f"{folder}: no tokenizer that loads without running its code ({reason}); "
            "give a folder with tokenizer.json"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise InputError(
            f"{folder}: a {type(tokenizer).__name__} has no tokenizer.json; save it with "
            "transformers as a fast tokenizer"
        )
    if tokenizer.eos_token_id is None and tokenizer.sep_token_id is not None:
        tokenizer.eos_token = tokenizer.sep_token
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"{folder}: the tokenizer has no end-of-text token; "
            "set eos_token in tokenizer_config.json"
        )
    return tokenizer


def mask_id(tokenizer: PreTrainedTokenizerFast) -> int:
    """The id that hides a token; raises InputError when the tokenizer has none."""
    found = tokenizer.mask_token_id
    if found is None:
        raise InputError(
            "tokenizer: has no mask token, which a masked model needs; set mask_token in its "
            "tokenizer_config.json, or let the run train a tokenizer"
        )
    assert isinstance(found, int)
    return found


def tokenizer_hash(tokenizer: PreTrainedTokenizerFast) -> str:
    """A blake3 hex digest of all that decides its tokens: vocabulary, merges, rules, EOS, BOS.

    Truncation and padding are left out; documents are encoded without them.
    """
    rules = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    rules.no_truncation()
    rules.no_padding()
    first = f"{first_id(tokenizer)}\n" if begins_by_itself(tokenizer) else ""
    return blake3(f"{first}{tokenizer.eos_token_id}\n{rules.to_str()}".encode()).hexdigest()


def encode_documents(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str]) -> list[np.ndarray]:
    """The tokens of every text, uint32, without BOS and EOS.

    A special token that stands in a text as letters, such as ``<|endoftext|>``, stays letters.
    Parallel over the texts unless TOKENIZERS_PARALLELISM=false. Raises EvergrowError when a text
    gives the EOS token after all.
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    before = backend.encode_special_tokens
    backend.encode_special_tokens = True
    try:
        encodings = backend.encode_batch_fast(list(texts), add_special_tokens=False)
    finally:
        backend.encode_special_tokens = before
    arrays = [np.array(encoding.ids, dtype=np.uint32) for encoding in encodings]
    for array, text in zip(arrays, texts, strict=True):
        if tokenizer.eos_token_id in array:
            raise EvergrowError(
                f"a document that begins {text[:40]!r} gives the end-of-text token "
                f"{tokenizer.eos_token!r}; mark it special in tokenizer.json"
            )
    return arrays
