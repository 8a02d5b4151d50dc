"""An objective: what is learnt, in which unit it is measured, and what of it a person looks at.

One is made for each open stage, of what stands in ``Given``; ``OBJECTIVES`` has those there are.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from evergrow.lineage import Measured
from evergrow.models.config import ModelConfig
from evergrow.objectives.config import TrainConfig
from evergrow.objectives.lines import Probed, Shown
from evergrow.stream.plan import Sample
from evergrow.train.objective import Batch, Learner

Say = Callable[[str], None]


class Stock(Protocol):
    """Prepared data of one source, opened; ``folder`` carries the hash of its content."""

    @property
    def folder(self) -> Path: ...

    @property
    def manifest(self) -> dict[str, Any]: ...


@dataclass(frozen=True)
class Given:
    """What an objective is made of.

    ``stocks`` are the opened sources by name; ``learnt`` and ``measured`` name those of the
    objective's own form. ``lengths`` holds the sequence length of every stage on the way to this
    one, whose samples replay may bring. ``part`` are the tokens or pictures measured inside a
    stage, ``sample_tokens`` the length of what is shown. ``start`` says which model comes first.
    """

    config: Any
    train: TrainConfig
    lengths: Sequence[int]
    stocks: Mapping[str, Any]
    learnt: Sequence[str]
    measured: Sequence[str]
    tokenizer: PreTrainedTokenizerFast | None
    start: ModelConfig
    seed: int
    part: int
    sample_tokens: int

    @property
    def by_folder(self) -> dict[str, Any]:
        """The stocks by the name of their folder, as samples name them."""
        return {stock.folder.name: stock for stock in self.stocks.values()}


def nothing_probed(model: nn.Module, names: Collection[str], first: bool, say: Say) -> list[Probed]:
    """Probes of what has no labels."""
    return []


@dataclass(frozen=True)
class Objective:
    """What a stage asks of what it learns.

    unit         what a loss is measured in
    counted      what the clock counts: tokens, or pictures
    num_items    samples of a source
    first_model  the model that the recipe starts from; ``say`` hears what of a loaded one is new
    refuse       raises InputError when a model, by its folder's config.json, cannot be trained so
    batch        the batch of samples, whose global numbers draw masks and changes
    loss         a batch's loss and its named parts
    measure      the losses on sources; ``partial``: on a part, quickly
    show         what a person looks at; pictures are written into the folder
    probe        what a simple rule tells from features; of the ``first`` model from raw data too
    save         a release: a whole Hugging Face folder with card, record and what was brought
    """

    unit: str
    counted: str
    num_items: Callable[[str], int]
    first_model: Callable[[Say], PreTrainedModel]
    refuse: Callable[[Path], None]
    batch: Callable[[Sequence[Sample], range], Batch]
    loss: Learner
    measure: Callable[[nn.Module, Collection[str], bool], list[Measured]]
    show: Callable[[nn.Module, Collection[str], Path], list[Shown]]
    probe: Callable[[nn.Module, Collection[str], bool, Say], list[Probed]]
    save: Callable[[Path, PreTrainedModel, str, Mapping[str, Any], Path], None]


Make = Callable[[Given], Objective]
