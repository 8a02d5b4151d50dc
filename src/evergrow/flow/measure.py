"""What a model can do now: bits per byte of held-out streams, and a text from a prompt of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import nn
from transformers import PreTrainedModel

from evergrow.evals.bits_per_byte import bits_per_byte, bits_per_byte_interval, document_nats
from evergrow.models.sample import generate
from evergrow.stream.order import key_of
from evergrow.stream.shards import TokenSource

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
    model: nn.Module, sources: Mapping[str, HeldOut], eos_id: int, sequence_length: int
) -> list[dict[str, Any]]:
    """One record a source: bits per byte and its 95 % interval by bootstrap over documents."""
    records = []
    for name, documents in sources.items():
        nats = document_nats(model, documents.tokens, eos_id, sequence_length, WINDOWS_AT_ONCE)
        value = bits_per_byte(nats, documents.num_bytes)
        interval = bits_per_byte_interval(nats, documents.num_bytes)
        records.append(
            {
                "source": name,
                "bits_per_byte": value,
                "low": interval.low,
                "high": interval.high,
                "num_documents": len(documents.tokens),
                "num_bytes": int(documents.num_bytes.sum()),
            }
        )
    return records


def sample_texts(
    model: PreTrainedModel,
    tokenizer: Any,
    sources: Mapping[str, HeldOut],
    num_tokens: int,
    seed: int,
) -> list[dict[str, str]]:
    """A continuation of the beginning of each source's first held-out document."""
    texts = []
    for name, documents in sources.items():
        prompt = tokenizer.decode(documents.tokens[0][:PROMPT_TOKENS])
        key = key_of("sample", seed, name)
        text = generate(model, tokenizer, prompt, num_tokens, 0.8, seed=key)
        texts.append({"source": name, "prompt": prompt, "text": text})
    return texts
