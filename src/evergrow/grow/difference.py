"""How far two models' outputs lie apart; sums over batches.

B sequences, T positions, V ids or features; W ids or features of the grown model, W >= V.
"""

from dataclasses import asdict, dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

_ELEMENTS = 1 << 21  # logits in float64 at a time


@dataclass(frozen=True)
class Difference:
    """Of the grown model's outputs from the source's.

    maximum, mean    of the absolute difference over all positions and old ids (features)
    scale            standard deviation of the source's outputs, to hold the two against
    kl               nats a position, source to grown, new ids included; None without a vocabulary
    top1_agreement   share of positions with the same likeliest id; None likewise
    new_token_mass   mean probability of ids that the source does not have; None without such
    source_loss,     cross-entropy in nats a target; None without targets
    grown_loss
    """

    maximum: float
    mean: float
    scale: float
    kl: float | None = None
    top1_agreement: float | None = None
    new_token_mass: float | None = None
    source_loss: float | None = None
    grown_loss: float | None = None

    def record(self) -> dict[str, float]:
        """Plain data for growth.json, without what does not apply."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass
class Differences:
    """Adds up batches of outputs; ``words`` says whether they are logits."""

    words: bool
    maximum: float = 0.0
    sums: dict[str, float] = field(default_factory=dict)

    def add(self, source: Tensor, grown: Tensor, targets: Tensor | None = None) -> None:
        """Outputs [B, T, V] and [B, T, W] (or without T) of the same inputs; targets [B, T]."""
        source, grown = source.flatten(0, -2), grown.flatten(0, -2)
        ids = None if targets is None else targets.flatten()
        step = max(1, _ELEMENTS // grown.shape[1])
        for start in range(0, len(source), step):  # no float64 copy of all logits
            rows = slice(start, start + step)
            self._add(
                source[rows].double(), grown[rows].double(), None if ids is None else ids[rows]
            )

    def _add(self, source: Tensor, grown: Tensor, targets: Tensor | None) -> None:
        old = grown[:, : source.shape[1]]
        apart = (old - source).abs()
        largest = float(apart.max())
        # a NaN must not lose against a number
        self.maximum = largest if largest != largest else max(self.maximum, largest)
        self._count("values", apart.numel())
        self._count("apart", float(apart.sum()))
        self._count("source", float(source.sum()))
        self._count("square", float(source.square().sum()))
        if not self.words:
            return
        p, q = F.log_softmax(source, dim=-1), F.log_softmax(grown, dim=-1)
        q_old = q[:, : source.shape[1]]
        self._count("positions", len(source))
        self._count("kl", float((p.exp() * (p - q_old)).sum()))
        self._count("agree", float((source.argmax(-1) == grown.argmax(-1)).sum()))
        self._count("new", float(q[:, source.shape[1] :].exp().sum()))
        if grown.shape[1] > source.shape[1]:
            self._count("grown_ids", 1)
        if targets is not None:
            self._count("targets", int((targets != -100).sum()))
            self._count("source_loss", float(F.nll_loss(p, targets, reduction="sum")))
            self._count("grown_loss", float(F.nll_loss(q, targets, reduction="sum")))

    def _count(self, name: str, value: float) -> None:
        self.sums[name] = self.sums.get(name, 0.0) + value

    def result(self) -> Difference:
        """The means."""
        sums = self.sums
        values, positions = sums["values"], sums.get("positions")
        mean_square, mean = sums["square"] / values, sums["source"] / values
        scale = max(mean_square - mean**2, 0.0) ** 0.5

        def per(name: str, count: float | None) -> float | None:
            return sums[name] / count if count else None

        return Difference(
            maximum=self.maximum,
            mean=sums["apart"] / values,
            scale=scale,
            kl=per("kl", positions),
            top1_agreement=per("agree", positions),
            new_token_mass=per("new", positions) if "grown_ids" in sums else None,
            source_loss=per("source_loss", sums.get("targets")),
            grown_loss=per("grown_loss", sums.get("targets")),
        )


def difference(
    source: Tensor, grown: Tensor, words: bool, targets: Tensor | None = None
) -> Difference:
    """Of one batch; see ``Differences.add``."""
    found = Differences(words)
    found.add(source, grown, targets)
    return found.result()


def is_finite(found: Difference) -> bool:
    """Whether no output was infinite or no number."""
    return bool(torch.isfinite(torch.tensor([found.maximum, found.mean])).all())
