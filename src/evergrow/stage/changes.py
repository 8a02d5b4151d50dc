"""What became of every stream, learnt or only measured: numbers first, then the same as sentences.

The page, the terminal and `evergrow compare` say these sentences, so that none of them can deny
what another one shows.
"""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from evergrow.config import Config
from evergrow.lineage import SHARES, Measured, numbers_beside

UNMEASURED = "Nothing older was measured, so nothing is said of forgetting."
SMALLEST = 0.005  # a rise that still shows with two decimals


class Moment(Config):
    """A stream's loss at one moment, and whatever else was measured with it (accuracy, floor)."""

    loss: float
    beside: dict[str, float] = {}


class Change(Config):
    """One stream of a life: before its first stage, at its best, and after its last stage.

    ``lowest`` is the lowest of the releases before the last one, since the stream was learnt; of a
    stream that is only measured (``is_learnt`` is false), since before the first stage. None: it
    was not measured then, or there was no such moment. ``has_failed``: its own release is no better
    than the best constant, so that nothing was learnt and nothing can be forgotten.
    """

    stream: str
    is_learnt: bool
    has_failed: bool = False
    first: Moment | None = None
    lowest: Moment | None = None
    last: Moment | None = None

    @property
    def rise(self) -> float | None:
        """How far it ended above its lowest: forgotten above 0, gained below."""
        if self.lowest is None or self.last is None or self.has_failed:
            return None
        return self.last.loss - self.lowest.loss

    @property
    def is_forgotten(self) -> bool:
        """Whether the rise shows with two decimals."""
        return self.rise is not None and self.rise >= SMALLEST

    @property
    def is_better(self) -> bool:
        """Whether its best release is better than the model before, and than any constant.

        By its loss, or by its ranking of labels: what is surer than it may be has the worse loss.
        """
        first, reached = self.first, self.reached
        if self.has_failed or reached is None:
            return False
        if first is None or reached.loss < first.loss:
            return True
        areas = [one.beside.get("auroc") for one in (first, reached)]
        return areas[0] is not None and areas[1] is not None and areas[1] > areas[0]

    @property
    def reached(self) -> Moment | None:
        """The best of all its releases since it was learnt."""
        known = [moment for moment in (self.lowest, self.last) if moment is not None]
        return min(known, key=lambda moment: moment.loss, default=None)


def moment(line: Measured | None) -> Moment | None:
    """What a score says of one moment."""
    if line is None:
        return None
    return Moment(loss=line.loss, beside=numbers_beside(line))


def mean_moment(moments: Sequence[Moment | None]) -> Moment | None:
    """The mean; None where a moment is missing or there is none."""
    known = [one for one in moments if one is not None]
    if not known or len(known) < len(moments):
        return None
    shared = set.intersection(*(set(one.beside) for one in known))
    return Moment(
        loss=_mean([one.loss for one in known]),
        beside={n: _mean([one.beside[n] for one in known]) for n in sorted(shared)},
    )


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def change(
    stream: str, own: int | None, before: Moment | None, rows: list[Moment | None]
) -> Change:
    """A stream's change from its moments ``before`` and after every stage.

    ``own`` is the place of the stage that learns it; None for a stream that is only measured.
    """
    earlier = [before, *rows[:-1]] if own is None else rows[own:-1]
    known = [one for one in earlier if one is not None]
    return Change(
        stream=stream,
        is_learnt=own is not None,
        first=before,
        lowest=min(known, key=lambda one: one.loss, default=None),
        last=rows[-1] if rows else None,
    )


def mean_changes(lives: Sequence[Sequence[Change]]) -> list[Change]:
    """The same streams over seeds; a moment that a seed has not is None."""
    return [
        Change(
            stream=same[0].stream,
            is_learnt=same[0].is_learnt,
            has_failed=any(c.has_failed for c in same),
            first=mean_moment([c.first for c in same]),
            lowest=mean_moment([c.lowest for c in same]),
            last=mean_moment([c.last for c in same]),
        )
        for same in zip(*lives, strict=False)
    ]


def verdict(
    changes: Sequence[Change], others: Mapping[str, Sequence[Change]], arrow: str = "->"
) -> str:
    """What was learnt and forgotten on the way to the last stage, and to ``others`` beside it."""
    ways = {"": changes, **{f"To {leaf}: ": found for leaf, found in others.items()}}
    told = []
    for way, found in ways.items():
        sentences = [learnt_sentence(found, arrow), forgotten_sentence(found, arrow)]
        if known := " ".join(sentence for sentence in sentences if sentence):
            told.append(f"{way}{known}")
    return " ".join(told)


def learnt_sentence(changes: Iterable[Change], arrow: str = "->") -> str:
    """``Learnt mail 3.36 -> 2.63.``, and what did not get better; "" before the first release."""
    known = [c for c in changes if c.is_learnt and c.reached is not None]
    told = []
    for words, is_better in (("Learnt", True), ("Did not learn", False)):
        some = [c for c in known if c.is_better == is_better]
        streams = [f"{c.stream} {_from_to(c.first, c.reached, arrow)}" for c in some]
        told += [f"{words} {', '.join(streams)}."] if streams else []
    return " ".join(told)


def forgotten_sentence(changes: Sequence[Change], arrow: str = "->") -> str:
    """``Forgot old: 2.28 -> 3.12 (+0.85).``, or why nothing is said of forgetting."""
    known = [c for c in changes if c.rise is not None]
    lost = [c for c in known if c.is_forgotten]
    if lost:
        told = [
            f"{c.stream}: {_from_to(c.lowest, c.last, arrow)} ({c.rise:+.2f})"
            for c in sorted(lost, key=lambda c: -(c.rise or 0))
        ]
        return f"Forgot {', '.join(told)}."
    if known:
        told = [f"{c.stream} {_from_to(c.lowest, c.last, arrow)}" for c in known]
        return f"Forgot nothing of {', '.join(told)}."
    return UNMEASURED if any(c.reached and not c.has_failed for c in changes) else ""


def _from_to(first: Moment | None, last: Moment | None, arrow: str) -> str:
    """``3.36 -> 2.63``; of a classifier what it tells, with the loss behind it."""
    if last is None:
        return ""
    told = [f"{first.loss:.2f} {arrow} "] if first else []
    losses = "".join([*told, f"{last.loss:.2f}"])
    shares = [f"{words} {_share(name, first, last, arrow)}" for name, words in SHARES.items()
              if name in last.beside]  # fmt: skip
    return ", ".join([*shares, f"loss {losses}"]) if shares else losses


def _share(name: str, first: Moment | None, last: Moment, arrow: str) -> str:
    """A share from first to last; what needs no model does not change."""
    start = first.beside.get(name) if first and name != "majority" else None
    before = f"{start:.3f} {arrow} " if start is not None else ""
    return f"{before}{last.beside[name]:.3f}"
