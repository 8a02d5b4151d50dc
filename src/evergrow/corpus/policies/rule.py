"""A rule about one signal, and the judgement of many documents by many rules."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

Domain = Literal["any", "prose", "code"]
DOMAIN_SIGNAL = "programming.domain"
LANGUAGE_SIGNAL = "language.language"


@dataclass(frozen=True)
class Rule:
    """A document fails when its signal is below ``low`` or above ``high``, or not ``allowed``.

    name    ``<preset>.<what>``, such as gopher.min_words
    signal  ``<group>.<field>``
    reason  says about the documents that fail: "fewer than {low:g} words"
    domain  the rule is silent about documents of the other domain
    by_language  ISO 639 codes to the threshold for documents of that language
    """

    name: str
    signal: str
    reason: str
    low: float | None = None
    high: float | None = None
    allowed: tuple[str, ...] | None = None
    domain: Domain = "any"
    by_language: Mapping[str, float] = field(default_factory=dict)

    @property
    def signals(self) -> set[str]:
        """All that it looks at."""
        also = {DOMAIN_SIGNAL} if self.domain != "any" else set()
        return {self.signal} | also | ({LANGUAGE_SIGNAL} if self.by_language else set())

    def told(self) -> str:
        """The reason with the thresholds in it."""
        allowed = ", ".join(self.allowed or ())
        return self.reason.format(low=self.low, high=self.high, allowed=allowed)

    def moved(self, threshold: float) -> "Rule":
        """This rule with another threshold, in every language; it must have exactly one."""
        assert (self.low is None) != (self.high is None), self.name
        side = {"low": threshold} if self.high is None else {"high": threshold}
        return replace(self, **side, by_language={})

    def within(self, language: str | None) -> "Rule":
        """This rule with the threshold that it has for a language."""
        if language is None or language not in self.by_language:
            return self
        return self.moved(self.by_language[language])


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
    if rule.by_language:
        return _fails_by_language(rule, columns)
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


def _fails_by_language(rule: Rule, columns: Mapping[str, np.ndarray]) -> np.ndarray:
    language_D = columns[LANGUAGE_SIGNAL]
    fails_D = _fails(replace(rule, by_language={}), columns)
    for language in rule.by_language:
        mine_D = language_D == language
        if mine_D.any():
            fails_D[mine_D] = _fails(rule.within(language), columns)[mine_D]
    return fails_D
