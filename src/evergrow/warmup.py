"""How long the rate rises at the start of a stage."""

import math


def least_warmup(beta2: float) -> int:
    """The steps in which Adam's fresh moments fill: 2 / (1 - beta2), 40 at 0.95.

    The rule of thumb of Ma and Yarats (arXiv 1910.04209, section 5) for an untuned linear warm-up:
    before, a step is as long as the rate says whatever the gradient, and a loaded model is thrown
    out of its place by a few of them.
    """
    return math.ceil(round(2 / (1 - beta2), 6))


def warmup_steps(asked: float | None, usual: float, steps: int, least: int) -> int:
    """The warm-up of a stage of ``steps``: the share ``asked``; else the ``usual``, but ``least``.

    The least never takes more than a quarter of the stage.
    """
    if asked is not None:
        return round(asked * steps)
    return max(round(usual * steps), min(least, steps // 4))
