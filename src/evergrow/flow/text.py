"""A Run on text: token windows in, bits per byte out."""

from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, final

from torch import nn
from transformers import PreTrainedModel

from evergrow.flow.masking import mask_rule, objective_for
from evergrow.flow.measure import HeldOut, held_out, measure, sample_texts
from evergrow.flow.modality import Line, Say
from evergrow.models.load import model_from_config
from evergrow.models.save import save_release
from evergrow.recipe import Recipe
from evergrow.run import Manifest
from evergrow.stream.batches import TokenBatch, token_batch
from evergrow.stream.masks import MaskedBatch, MaskRule, masked_batch
from evergrow.stream.plan import Sample
from evergrow.stream.shards import TokenSource
from evergrow.stream.tokenizer import load_tokenizer
from evergrow.train.objectives import Objective


@final
class Text:
    """The tokenizer and the token shards of a Run; see Modality."""

    def __init__(self, recipe: Recipe, root: Path, manifest: Manifest) -> None:
        self._recipe, self._seed = recipe, manifest.seed
        self.tokenizer = load_tokenizer(root / "tokenizer")
        self._opened = {n: TokenSource.open(root / path) for n, path in manifest.data.items()}
        self._by_folder = {Path(p).name: self._opened[n] for n, p in manifest.data.items()}
        self._masks: MaskRule | None = None

    @cached_property
    def held_out(self) -> dict[str, HeldOut]:
        """The held-out documents of every measured source."""
        return {name: held_out(self._opened[name]) for name in self._recipe.measured}

    @property
    def sizes(self) -> Mapping[str, int]:
        length = self._recipe.train.sequence_length
        return {name: source.num_windows(length) for name, source in self._by_folder.items()}

    def first_model(self, say: Say) -> PreTrainedModel:
        length = self._recipe.train.sequence_length
        return model_from_config(self._recipe.model, self.tokenizer, length, self._seed)

    def objective(self, model: nn.Module) -> Objective:
        self._masks = mask_rule(self._recipe, model, self.tokenizer, self._seed)
        return objective_for(self._masks, self._recipe.train.z_loss)

    def batch(self, samples: Sequence[Sample], numbers: range) -> TokenBatch | MaskedBatch:
        train = self._recipe.train
        batch = token_batch(
            samples,
            self._by_folder,
            train.sequence_length,
            train.mask_repeats,
            train.separate_documents,
        )
        return batch if self._masks is None else masked_batch(batch, numbers, self._masks)

    def measure(self, model: nn.Module, names: Collection[str], partial: bool) -> list[Line]:
        sources = {name: self.held_out[name] for name in names}
        if partial:
            part = self._recipe.evaluate.part
            sources = {name: documents.part(part) for name, documents in sources.items()}
        return measure(model, sources, self.tokenizer, self._recipe.train.sequence_length)

    def samples(
        self, model: nn.Module, names: Collection[str], folder: Path, stage: str | None
    ) -> list[Line]:
        num_tokens = self._recipe.evaluate.sample_tokens
        if stage is None or not num_tokens:
            return []
        plain: Any = model
        held_out = {name: self.held_out[name] for name in names}
        return sample_texts(plain, self.tokenizer, held_out, num_tokens, self._seed)

    def probes(self, model: nn.Module, names: Collection[str], first: bool, say: Say) -> list[Line]:
        return []

    def save_release(
        self, folder: Path, model: PreTrainedModel, card: str, record: Mapping[str, Any]
    ) -> None:
        save_release(folder, model, self.tokenizer, card, record)
