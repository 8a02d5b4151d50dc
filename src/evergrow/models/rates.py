"""At which rates a model was trained, as its folder says; and a rule by size where it does not."""

from pathlib import Path
from typing import NamedTuple

from evergrow.lineage import read_node
from evergrow.schedules import Segment

GPT3 = 6e-4, 125e6, 0.32  # peak, parameters, exponent


class Rates(NamedTuple):
    """The highest and the last rate on the way to a model, and who says so."""

    peak: float
    last: float
    source: str


def recorded_rates(folder: Path) -> Rates | None:
    """The rates that evergrow.json records of a release; None for what says nothing of them."""
    node = read_node(folder)
    segments = node.details.get("schedule") if node else None
    if not isinstance(segments, list) or not segments:
        return None
    laid = [Segment.model_validate(segment) for segment in segments]
    peak = max(rate for segment in laid for rate in (segment.from_lr, segment.to_lr))
    return Rates(peak, laid[-1].to_lr, "its evergrow.json")


def usual_peak(num_parameters: int) -> float:
    """6e-4 (125M / N)^0.32: the power law through the ends of table 2.1 of GPT-3 (2005.14165).

    That table has 6e-4 at 125M and 0.6e-4 at 175B parameters.
    """
    peak, size, exponent = GPT3
    return peak * (size / num_parameters) ** exponent
