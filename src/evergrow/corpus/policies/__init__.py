"""Policies: pure functions over signal columns that say which documents stay, and why not."""

from collections.abc import Iterator

from evergrow.config import nearest
from evergrow.corpus.policies.config import PolicyConfig, RuleConfig
from evergrow.corpus.policies.presets import PRESETS
from evergrow.corpus.policies.rule import Rule
from evergrow.errors import InputError


def rules_of(policy: PolicyConfig) -> list[Rule]:
    """The rules that a policy asks, in order. Raises InputError for a signal that is none."""
    rules = [rule for preset in policy.presets for rule in PRESETS[preset]]
    asked = [rule for rule in rules if rule.name not in policy.off]
    moved = policy.thresholds
    return [
        *(rule.moved(moved[rule.name]) if rule.name in moved else rule for rule in asked),
        *_language_rules(policy),
        *map(_own_rule, policy.rules),
    ]


def _language_rules(policy: PolicyConfig) -> Iterator[Rule]:
    if policy.languages is None:
        return
    yield Rule(
        "language.allowed",
        "language.language",
        "its language is not among {allowed}",
        allowed=tuple(policy.languages),
        domain="prose",
    )
    yield Rule(
        "language.probability",
        "language.probability",
        "its language is less than {low:.0%} certain",
        low=policy.least_probability,
        domain="prose",
    )


def _own_rule(rule: RuleConfig) -> Rule:
    from evergrow.corpus.signals import GROUPS  # a recipe is read without pyarrow

    numeric = [
        f"{group.name}.{field}"
        for group in GROUPS.values()
        for field, kind in group.fields.items()
        if kind != "string"
    ]
    if rule.signal not in numeric:
        raise InputError(
            f"rule {rule.name!r}: no signal with numbers is called {rule.signal!r}; "
            f"{nearest(rule.signal, numeric, 'signals')}"
        )
    beyond = "below {low:g}" if rule.high is None else "above {high:g}"
    return Rule(
        name=f"own.{rule.name}",
        signal=rule.signal,
        reason=f"{rule.signal} is {beyond}",
        low=rule.low,
        high=rule.high,
        domain=rule.domain,
    )
