"""What is written down of a suite's score."""

from evergrow.config import Config
from evergrow.models.sampling import Sampling


class Estimate(Config):
    """A share with its 95 % interval, and how that was made."""

    value: float
    low: float
    high: float
    method: str


class ItemScore(Config):
    """One item: the share of its answers that are right."""

    id: str
    cluster: str
    value: float


class SuiteScore(Config):
    """The score of one model on one suite, with all that it depends on.

    scores     by metric, of which ``metric`` is the suite's own, whose ``items`` are kept
    baselines  what can be had without a model
    counts     of answers, by verdict or end
    searched   whether the training data was searched for the suite, in words
    tier       of the sandbox, where programs were carried out
    """

    suite: str
    digest: str
    license: str
    model: str
    metric: str
    scores: dict[str, Estimate]
    baselines: dict[str, float]
    samples: int = 1
    sampling: Sampling | None = None
    chat: bool = False
    seed: int = 0
    counts: dict[str, int] = {}
    searched: str = ""
    tier: str | None = None
    made: str = ""
    items: list[ItemScore]

    @property
    def own(self) -> Estimate:
        """The suite's own score."""
        return self.scores[self.metric]
