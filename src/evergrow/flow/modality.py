"""What a Run asks of its data and its model, be they text or pictures: one interface, two rooms."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import nn
from transformers import PreTrainedModel

from evergrow.stream.plan import Sample
from evergrow.train.objectives import Objective

Line = dict[str, Any]  # of evals.jsonl or samples.jsonl, without its place
Say = Callable[[str], None]


def sheets_of(stage: str | None) -> Path:
    """Where the sheets of pictures after ``stage`` lie in a Run's folder; None: before the first.

    A name begins with a letter or a digit, so no stage is called like the last.
    """
    return Path("pictures") / (stage or "_before")


class Modality(Protocol):
    """The opened data of a Run. A clock's unit is a token of text, or a picture."""

    @property
    def sizes(self) -> Mapping[str, int]:
        """Samples of every data folder, by the folder's name."""
        ...

    def first_model(self, say: Say) -> PreTrainedModel:
        """The model that the recipe starts from; ``say`` hears what of a loaded one is new."""
        ...

    def objective(self, model: nn.Module) -> Objective:
        """What trains ``model`` on the batches of ``batch``; raises InputError when none fits."""
        ...

    def batch(self, samples: Sequence[Sample], numbers: range) -> Any:
        """The batch of ``samples``, whose global numbers draw masks and changes."""
        ...

    def measure(self, model: nn.Module, names: Collection[str], partial: bool) -> list[Line]:
        """A line a source with its ``loss`` and 95 % interval (low, high); ``partial``: a part."""
        ...

    def samples(
        self, model: nn.Module, names: Collection[str], folder: Path, stage: str | None
    ) -> list[Line]:
        """What shows a person what the model does after ``stage``, None: before the first.

        Pictures are written into ``folder``. First weights have nothing to say in words.
        """
        ...

    def probes(self, model: nn.Module, names: Collection[str], first: bool, say: Say) -> list[Line]:
        """What a simple rule tells from the model's features, ``first`` also from the raw data.

        A line a source and probe, with ``accuracy`` and its 95 % interval; none for text. ``say``
        hears ``first`` which labelled sources cannot be probed, and why.
        """
        ...

    def save_release(
        self, folder: Path, model: PreTrainedModel, card: str, record: Mapping[str, Any]
    ) -> None:
        """Write the model as a whole Hugging Face folder."""
        ...
