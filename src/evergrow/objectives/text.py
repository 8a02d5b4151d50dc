"""What objectives on text share: rows of tokens, bits per byte, a text from a prompt, a release."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel

from evergrow.errors import InputError
from evergrow.evals.bits_per_byte import (
    bits_per_byte,
    bits_per_byte_interval,
    document_nats,
    evaluation_mode,
)
from evergrow.evals.masked import Marks, masked_document_nats
from evergrow.lineage import Measured
from evergrow.models.convention import first_id
from evergrow.models.find import find_model
from evergrow.models.kind import forward_settings, kind_of, kind_of_architecture
from evergrow.models.load import model_from_config
from evergrow.models.sample import generate
from evergrow.models.save import save_release
from evergrow.objectives.config import resolved
from evergrow.objectives.lines import Shown
from evergrow.objectives.objective import Given, Say
from evergrow.stream.batches import Row, TokenBatch, document_positions, repeated, row_batch
from evergrow.stream.examples import ExampleSource
from evergrow.stream.order import key_of
from evergrow.stream.pieces import pieces_of
from evergrow.stream.plan import Sample
from evergrow.stream.shards import TokenSource
from evergrow.stream.tokenizer import mask_id
from evergrow.train.objective import Learner, Loss

UNIT = "bits per byte"
PROMPT_TOKENS = 16
WINDOWS_AT_ONCE = 32
LEAK = 1e-3  # of a logit's spread: rounding stays a thousand times below


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


@final
class Texts:
    """The tokenizer and the sources of an open stage."""

    def __init__(self, given: Given) -> None:
        assert given.tokenizer is not None, "text is prepared with a tokenizer"
        self.given, self.tokenizer = given, given.tokenizer
        end: Any = given.tokenizer.eos_token_id
        self.eos: int = end
        self._by_folder = given.by_folder
        self._fitting: dict[tuple[str, int], np.ndarray] = {}

    @cached_property
    def _held_out(self) -> dict[str, HeldOut]:
        return {name: held_out(self.given.stocks[name]) for name in self.given.measured}

    def first_model(self, say: Say) -> PreTrainedModel:
        given = self.given
        length = given.train.sequence_length
        return model_from_config(given.start, self.tokenizer, length, given.seed, find_model)

    def refuse(self, folder: Path) -> None:
        """Raise InputError unless the model of ``config.json`` in ``folder`` learns so."""
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        architecture = next(iter(config.get("architectures") or []), "")
        kind = kind_of_architecture(architecture) or "causal"
        try:
            resolved(self.given.train, self.given.config.form, kind, architecture or str(folder))
        except ValueError as error:
            raise InputError(f"recipe.{error}") from error

    def num_windows(self, name: str) -> int:
        return self.given.stocks[name].num_windows(self.given.train.sequence_length)

    def rows(self, samples: Sequence[Sample], loss_on: str) -> list[Row]:
        """A row for each sample, windows of text and examples alike, each as its stage reads it."""
        return [
            self._example(stock, sample, loss_on)
            if isinstance(stock := self._by_folder[sample.source], ExampleSource)
            else self._window(stock, sample)
            for sample in samples
        ]

    def _example(self, source: ExampleSource, sample: Sample, loss_on: str) -> Row:
        place = (source.folder.name, self.given.lengths[sample.origin])
        if place not in self._fitting:
            self._fitting[place] = fitting_items(source, place[1])
        return example_row(source, int(self._fitting[place][sample.item]), loss_on)

    def _window(self, source: TokenSource, sample: Sample) -> Row:
        length, train = self.given.lengths[sample.origin], self.given.train
        ids = source.window(sample.item, length)
        counts = 0.0 if train.mask_repeats and repeated(ids[None])[0] else 1.0
        positions = np.arange(length)
        if train.separate_documents:
            documents = source.window_documents(sample.item, length)
            positions = document_positions(documents[None, :-1])[0]
        return Row(ids[:-1], ids[1:], np.full(length, counts, np.float32), positions)

    def row_batch(self, samples: Sequence[Sample], loss_on: str, pack: bool) -> TokenBatch:
        """Samples of any form as one batch."""
        rows = self.rows(samples, loss_on)
        longest = max(self.given.train.sequence_length, *(len(row.weights) for row in rows), 1)
        return row_batch(rows, longest if pack else None, self.eos)

    def measure(self, model: nn.Module, names: Collection[str], partial: bool) -> list[Measured]:
        """Bits per byte and its 95 % interval by bootstrap over documents.

        Of a masked model they are those of hidden tokens, and num_bytes counts the bytes of these:
        not comparable with a causal model's (evals/masked.py).
        """
        part = self.given.part if partial else None
        sources = {name: self._held_out[name] for name in names}
        length = self.given.train.sequence_length
        return measure_text(model, sources, self.tokenizer, length, part)

    def show(self, model: nn.Module, names: Collection[str], folder: Path) -> list[Shown]:
        """A continuation of the beginning of each source's first held-out document.

        A masked model continues no text: none.
        """
        num_tokens = self.given.sample_tokens
        if not num_tokens or kind_of(model) == "masked":
            return []
        shown = []
        for name in names:
            prompt = str(self.tokenizer.decode(self._held_out[name].tokens[0][:PROMPT_TOKENS]))
            shown.append(self.continued(model, name, prompt, prompt, num_tokens))
        return shown

    def continued(
        self, model: nn.Module, name: str, prompt: str, told: str, num_tokens: int
    ) -> Shown:
        """The model's text after ``prompt``, of which ``told`` is what a person is shown."""
        plain: Any = model
        key = key_of("sample", self.given.seed, name)
        text = generate(plain, self.tokenizer, prompt, num_tokens, 0.8, seed=key)
        return Shown(source=name, prompt=told, text=text)

    def save(
        self,
        folder: Path,
        model: PreTrainedModel,
        card: str,
        record: Mapping[str, Any],
        brought: Path,
    ) -> None:
        save_release(folder, model, self.tokenizer, card, record, brought)


def fitting_items(source: ExampleSource, length: int) -> np.ndarray:
    """The training examples that a row of ``length`` inputs holds whole."""
    return np.flatnonzero(source.lengths() - 1 <= length)


def example_row(source: ExampleSource, item: int, loss_on: str) -> Row:
    """A row of an example's tokens; the ones in ``loss_on`` (assistant, last, all) count."""
    ids, marks = source.sequence(item)
    counted = {"assistant": marks > 0, "last": marks == 2, "all": np.ones(len(marks), bool)}
    weights = counted[loss_on][1:].astype(np.float32)
    return Row(ids[:-1], ids[1:], weights, np.arange(len(ids) - 1))


def measure_text(
    model: nn.Module,
    sources: Mapping[str, HeldOut],
    tokenizer: Any,
    sequence_length: int,
    part: int | None = None,
) -> list[Measured]:
    """Bits per byte of held-out documents, or of the first that hold ``part`` tokens."""
    found = []
    for name, documents in sources.items():
        read = documents if part is None else documents.part(part)
        nats, num_bytes = _nats_and_bytes(model, read, tokenizer, sequence_length)
        counts = {"num_documents": len(read.tokens), "num_bytes": int(num_bytes.sum())}
        found.append(bits_measured(name, nats, num_bytes, counts))
    return found


def bits_measured(
    name: str, nats: np.ndarray, num_bytes: np.ndarray, counts: dict[str, int]
) -> Measured:
    """A source's bits per byte from nats and bytes, one of each a document."""
    interval = bits_per_byte_interval(nats, num_bytes)
    return Measured(
        source=name,
        unit=UNIT,
        loss=bits_per_byte(nats, num_bytes),
        low=interval.low,
        high=interval.high,
        counts=counts,
    )


def _nats_and_bytes(
    model: nn.Module, documents: HeldOut, tokenizer: Any, sequence_length: int
) -> tuple[np.ndarray, np.ndarray]:
    """What a model pays for each document, and for how many bytes of it."""
    first, tokens = first_id(tokenizer), documents.tokens
    assert first is not None, "a tokenizer with EOS"
    if kind_of(model) == "causal":
        nats = document_nats(model, tokens, first, sequence_length, WINDOWS_AT_ONCE)
        return nats, documents.num_bytes
    marks = Marks(first, tokenizer.eos_token_id, mask_id(tokenizer))
    pieces = pieces_of(tokenizer)
    return masked_document_nats(model, tokens, pieces, marks, sequence_length, WINDOWS_AT_ONCE)


def kept_apart(learn: Learner, setting: str) -> Learner:
    """The same loss, after a look at the first model whether it keeps documents apart."""
    seen: list[nn.Module] = []

    def loss(model: nn.Module, batch: Any, device: torch.device) -> Loss:
        if not seen:
            refuse_leak(getattr(model, "_orig_mod", model), setting)
            seen.append(model)
        return learn(model, batch, device)

    return loss


def refuse_leak(model: Any, setting: str) -> None:
    """Raise InputError when positions that restart do not keep documents apart in ``model``.

    The second of two random documents must get the same logits alone and behind the other.
    """
    if _leak(model) > LEAK:
        raise InputError(
            f"{setting}: {type(model).__name__} sees earlier documents of a row though positions "
            "restart; set it to false"
        )


def _leak(model: Any) -> float:
    """How far logits move, as a share of their spread."""
    draw = torch.Generator().manual_seed(0)
    size = min(8, model.config.max_position_embeddings // 2)
    ids = torch.randint(model.config.vocab_size, (1, 2 * size), generator=draw)
    ids, places = ids.to(model.device), torch.arange(size, device=model.device)[None]
    with evaluation_mode(model), torch.no_grad():
        settings = forward_settings(model)
        both = model(input_ids=ids, position_ids=places.repeat(1, 2), **settings).logits
        alone = model(input_ids=ids[:, size:], position_ids=places, **settings).logits
    return float((both[:, size:] - alone).abs().max() / alone.std())
