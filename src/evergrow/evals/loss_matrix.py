"""What a life of several stages kept, lost and gained, read off the matrix of losses.

L[i][j] is the loss on stream j after the release of stage i, both counted from 0; stream j is the
new data of stage j. Less is better. A measure that is not defined yet (one stage) is None.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evergrow.errors import InputError

Matrix = Sequence[Sequence[float]]
Curve = Sequence[tuple[int, Mapping[str, float]]]


@dataclass(frozen=True, slots=True)
class Measures:
    """The numbers of one arm, in the unit of its losses (bits per byte)."""

    average: float
    forgetting: float | None
    backward_transfer: float | None
    forward_transfer: float | None
    transient_peak: float | None


def measure(
    matrix: Matrix, before: Sequence[float] | None, curves: Sequence[Curve], streams: Sequence[str]
) -> Measures:
    """All measures of the stages done so far: n rows of ``matrix`` and their first n streams.

    ``before`` is the row before stage 0 (None when it was not measured), ``curves`` holds for each
    stage its partial evaluations as (step, {stream: loss}), the first at the stage's start.
    Raises InputError for rows of the wrong length.
    """
    return Measures(
        average=average(matrix),
        forgetting=forgetting(matrix),
        backward_transfer=backward_transfer(matrix),
        forward_transfer=None if before is None else forward_transfer(matrix, before),
        transient_peak=transient_peak(curves, streams),
    )


def average(matrix: Matrix) -> float:
    """mean_j L[S][j] with S the last stage."""
    return float(np.mean(_square(matrix)[-1]))


def forgetting(matrix: Matrix) -> float | None:
    """mean over j < S of L[S][j] - min over j <= i < S of L[i][j]; above 0 is lost.

    The best value since the stream was learnt, after Chaudhry et al. 1801.10112 in losses.
    """
    losses = _square(matrix)
    last = len(losses) - 1
    lost = [losses[last, j] - np.min(losses[j:last, j]) for j in range(last)]
    return float(np.mean(lost)) if lost else None


def backward_transfer(matrix: Matrix) -> float | None:
    """mean over j < S of L[j][j] - L[S][j]; above 0: later stages helped (1706.08840 in losses)."""
    losses = _square(matrix)
    gained = (np.diag(losses) - losses[-1])[:-1]
    return float(np.mean(gained)) if len(gained) else None


def forward_transfer(matrix: Matrix, before: Sequence[float]) -> float | None:
    """mean over j >= 1 of before[j] - L[j-1][j]: the fall of a loss before its own stage began."""
    losses = _square(matrix)
    if len(before) < len(losses):
        raise InputError(
            f"{len(before)} losses before stage 1 for {len(losses)} streams; measure every stream"
        )
    gained = [before[j] - losses[j - 1, j] for j in range(1, len(losses))]
    return float(np.mean(gained)) if gained else None


def transient_peak(curves: Sequence[Curve], streams: Sequence[str]) -> float | None:
    """The largest rise of an old stream inside a stage over its value at the stage's start.

    The same weights are compared with themselves, un-annealed, so that the rate of a release does
    not enter. 0 when no old stream ever rose; None without a second stage that was watched.
    Raises InputError when an evaluation lacks an old stream.
    """
    rises = []
    for stage, curve in enumerate(curves):
        if len(curve) < 2:
            continue  # the start alone cannot show a rise
        old = set(streams[:stage]) - {streams[stage]}
        for step, scores in curve:
            missing = sorted(old - set(scores))
            if missing:
                raise InputError(
                    f"stage {stage + 1}, step {step}: no loss of {missing[0]!r}; "
                    "evaluate every earlier stream inside a stage"
                )
            rises += [scores[name] - curve[0][1][name] for name in sorted(old)]
    return float(np.max(rises)) if rises else None


def _square(matrix: Matrix) -> np.ndarray:
    """[n, n] losses of the n stages done; streams of later stages are left out."""
    num_stages = len(matrix)
    if num_stages == 0:
        raise InputError("a loss matrix without a row; finish one stage first")
    for number, row in enumerate(matrix, start=1):
        if len(row) < num_stages:
            raise InputError(
                f"stage {number} has {len(row)} losses for {num_stages} streams; "
                "measure every stream after every stage"
            )
    return np.array([list(row[:num_stages]) for row in matrix], dtype=np.float64)
