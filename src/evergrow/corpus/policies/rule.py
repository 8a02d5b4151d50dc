"""A rule about one signal, and the judgement of many documents by many rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

Domain = Literal["any", "prose", "code"]
DOMAIN_SIGNAL = "programming.domain"


@dataclass(frozen=True)
class Rule:
    """A document fails when its signal is below ``low`` or above ``high``, or not ``allowed``.

    name    ``<preset>.<what>``, such as gopher.min_words
    signal  ``<group>.<field>``
    reason  says about the documents that fail: "fewer than {low:g} words"
    domain  the rule is silent about documents of the other domain
    """

    name: str
    signal: str
    reason: str
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] | None = None
    domain: Domain = "any"

    def told(self) -> str:
        """The reason with the thresholds in it."""
        allowed = ", ".join(self.allowed or ())
        return self.reason.format(low=self.low, high=self.high, allowed=allowed)

    def moved(self, threshold: float) -> "Rule":
        """This rule with another threshold; it must have exactly one."""
        assert (self.low is None) != (self.high is None), self.name
        return replace(self, low=threshold) if self.high is None else replace(self, high=threshold)


def judge(columns: Mapping[str, np.ndarray], rules: Sequence[Rule]) -> np.ndarray:
    """bool [D, R]: True where rule r fails document d.

    ``columns`` maps ``<group>.<field>`` to D values. An unknown value (NaN) fails no rule.
    """
    num_documents = len(next(iter(columns.values()))) if columns else 0
    fails_DR = np.zeros((num_documents, len(rules)), bool)
    for r, rule in enumerate(rules):
        fails_DR[:, r] = _fails(rule, columns)
    return fails_DR


def _fails(rule: Rule, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    values_D = columns[rule.signal]
    fails_D = np.zeros(len(values_D), bool)
    if rule.low is not None:
        fails_D |= values_D < rule.low
    if rule.high is not None:
        fails_D |= values_D > rule.high
    if rule.allowed is not None:
        fails_D |= ~np.isin(values_D, rule.allowed)
    if rule.domain != "any":
        fails_D &= columns[DOMAIN_SIGNAL] == rule.domain
    return fails_D
