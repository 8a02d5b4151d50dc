"""At which rate a finished model can go on: what its maker wrote down, else a rule by its size."""

import math
from pathlib import Path

from evergrow.models.rates import Rates, recorded_rates, usual_peak
from evergrow.models.weights import read_slots
from evergrow.train.trainer import is_trainer_checkpoint, reached

LOWEST = 0.1  # of the peak: where cosines end that say nothing else
RULE_BY_SIZE = "by its size, 6e-4 (125M / parameters)^0.32, as GPT-3's table 2.1 has it"


def known_rates(folder: Path) -> Rates | None:
    """The rates that evergrow or Hugging Face's Trainer recorded of a model, if either did."""
    if (found := recorded_rates(folder)) is not None:
        return found
    if is_trainer_checkpoint(folder) and (trained := reached(folder)) is not None:
        return Rates(trained.peak, trained.rate, "its Trainer state")
    return None


def likely_rates(folder: Path, documented: float | None) -> Rates:
    """The peak that was ``documented``, that is recorded, or usual for the model's size."""
    found = known_rates(folder)
    if documented is not None:
        last = LOWEST * documented if found is None else found.last
        return Rates(documented, last, "as given")
    if found is not None:
        return found
    peak = usual_peak(sum(math.prod(slot.shape) for slot in read_slots(folder).values()))
    return Rates(peak, LOWEST * peak, RULE_BY_SIZE)
