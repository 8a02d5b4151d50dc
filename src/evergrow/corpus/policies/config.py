"""What may stay in a corpus: rule sets, moved thresholds, languages, own rules, edits."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from evergrow.config import Config, Fraction, nearest
from evergrow.corpus.policies.presets import PRESETS
from evergrow.corpus.policies.rule import Domain

Preset = Literal["gopher", "c4", "fineweb", "dclm", "olmo2", "code"]
EditName = Literal[
    "c4_lines",
    "citations",
    "mask_emails",
    "mask_ip_addresses",
    "mask_keys",
    "mask_phones",
    "mask_cards",
    "mask_ibans",
]


class RuleConfig(Config):
    """A rule of one's own."""

    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")] = Field(
        description="Lower-case; the rule is called own.<name>"
    )
    signal: str = Field(description="<group>.<field>, such as shape.num_words")
    low: float | None = Field(default=None, description="A document below it fails")
    high: float | None = Field(default=None, description="A document above it fails")
    domain: Domain = Field(default="any", description="the documents it is asked of")

    @model_validator(mode="after")
    def _one_threshold(self) -> Self:
        if (self.low is None) == (self.high is None):
            found = "neither" if self.low is None else "both"
            raise ValueError(f"rule {self.name!r} needs either low or high, got {found}")
        return self


class PolicyConfig(Config):
    """A policy over signals. Without anything in it, everything stays."""

    presets: list[Preset] = Field(default=[], description="Published rule sets, asked in order")
    thresholds: dict[str, float] = Field(
        default={}, description="Rule name to another threshold: gopher.min_words: 30"
    )
    off: list[str] = Field(default=[], description="Names of rules of the presets not to ask")
    languages: list[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]] | None = Field(
        default=None, description="ISO 639 codes that prose may have: [en, de]"
    )
    least_probability: Fraction = Field(
        default=0.65, description="Of the language that was found, when languages are given"
    )
    rules: list[RuleConfig] = Field(default=[], description="Rules of one's own, asked last")
    edits: list[EditName] = Field(
        default=[], description="What is cut or masked when a kept document is written"
    )

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        _refuse_twice("presets", self.presets)
        _refuse_twice("rules", [rule.name for rule in self.rules])
        known = [rule.name for preset in self.presets for rule in PRESETS[preset]]
        for field, names in (("thresholds", list(self.thresholds)), ("off", self.off)):
            for name in names:
                if name not in known:
                    raise ValueError(f"{field}: {_unknown(name, known)}")
        if both := sorted(self.thresholds.keys() & set(self.off)):
            raise ValueError(f"rule {both[0]!r} has a threshold and is off; remove one of them")
        if self.languages == []:
            raise ValueError("languages must name at least one, got an empty list; leave it out")
        return self


def _refuse_twice(field: str, names: Sequence[str]) -> None:
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"{field} must differ, got {twice[0]!r} twice")


def _unknown(name: str, known: list[str]) -> str:
    owner = next((p for p, rules in PRESETS.items() if any(r.name == name for r in rules)), None)
    if owner is not None:
        return f"rule {name!r} belongs to preset {owner}, which is not among the presets; add it"
    return f"no rule is called {name!r}; {nearest(name, known, 'rules')}"
