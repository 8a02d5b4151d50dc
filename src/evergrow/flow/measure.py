"""What a model can do now: bits per byte of held-out streams, and a text from a prompt of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn
from transformers import PreTrainedModel

from evergrow.evals.bits_per_byte import bits_per_byte, bits_per_byte_interval, document_nats
from evergrow.evals.masked import masked_document_nats
from evergrow.models.kind import kind_of
from evergrow.models.sample import generate
from evergrow.stream.order import key_of
from evergrow.stream.pieces import pieces_of
from evergrow.stream.shards import TokenSource
from evergrow.stream.tokenizer import mask_id

PROMPT_TOKENS = 16
WINDOWS_AT_ONCE = 32


@dataclass(frozen=True)
class HeldOut:
    """A source's held-out documents: their tokens, and the bytes of their raw texts."""

    tokens: Sequence[np.ndarray]
    num_bytes: np.ndarray

    def part(self, num_tokens: int) -> "HeldOut":
        """The first documents, two at least, that together hold ``num_tokens``."""
        ends = np.cumsum([len(t) for t in self.tokens])
        kept = max(2, int(np.searchsorted(ends, num_tokens)) + 1)
        return HeldOut(self.tokens[:kept], self.num_bytes[:kept])


def held_out(source: TokenSource) -> HeldOut:
    """Read a source's held-out documents."""
    documents = list(source.held_out())
    return HeldOut([d.tokens for d in documents], np.array([d.num_bytes for d in documents]))


def measure(
    model: nn.Module, sources: Mapping[str, HeldOut], tokenizer: Any, sequence_length: int
) -> list[dict[str, Any]]:
    """One record a source: bits per byte and its 95 % interval by bootstrap over documents.

    Of a masked model they are those of hidden tokens, and num_bytes counts the bytes of these: not
    comparable with a causal model's (evals/masked.py). Raises InputError when its tokenizer has no
    mask token.
    """
    records = []
    for name, documents in sources.items():
        nats, num_bytes = _nats_and_bytes(model, documents, tokenizer, sequence_length)
        value = bits_per_byte(nats, num_bytes)
        interval = bits_per_byte_interval(nats, num_bytes)
        records.append(
            {
                "source": name,
                "loss": value,
                "low": interval.low,
                "high": interval.high,
                "num_documents": len(documents.tokens),
                "num_bytes": int(num_bytes.sum()),
            }
        )
    return records


def _nats_and_bytes(
    model: nn.Module, documents: HeldOut, tokenizer: Any, sequence_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a model pays for each document, and for how many bytes of it."""
    eos_id, tokens = tokenizer.eos_token_id, documents.tokens
    if kind_of(model) == "causal":
        nats = document_nats(model, tokens, eos_id, sequence_length, WINDOWS_AT_ONCE)
        return nats, documents.num_bytes
    hidden, pieces = mask_id(tokenizer), pieces_of(tokenizer)
    return masked_document_nats(
        model, tokens, pieces, hidden, eos_id, sequence_length, WINDOWS_AT_ONCE
    )


def sample_texts(
    model: PreTrainedModel,
    tokenizer: Any,
    sources: Mapping[str, HeldOut],
    num_tokens: int,
    seed: int,
) -> list[dict[str, str]]:
    """A continuation of the beginning of each source's first held-out document.

    A masked model continues no text: none.
    """
    if kind_of(model) == "masked":
        return []
    texts = []
    for name, documents in sources.items():
        prompt = tokenizer.decode(documents.tokens[0][:PROMPT_TOKENS])
        key = key_of("sample", seed, name)
        text = generate(model, tokenizer, prompt, num_tokens, 0.8, seed=key)
        texts.append({"source": name, "prompt": prompt, "text": text})
    return texts
