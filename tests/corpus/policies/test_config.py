"""Policies as settings: what is misspelt is named, with the way out."""

from typing import get_args

import pytest

from evergrow.config import decode
from evergrow.corpus.edits import EDITS
from evergrow.corpus.policies import rules_of
from evergrow.corpus.policies.config import EditName, PolicyConfig, Preset
from evergrow.corpus.policies.presets import PRESETS
from evergrow.errors import InputError


def names_of(settings: dict[str, object]) -> list[str]:
    return [rule.name for rule in rules_of(decode(PolicyConfig, settings, "policy"))]


def test_nothing_asked_is_nothing_dropped() -> None:
    assert names_of({}) == []


def test_the_settings_know_all_presets_and_edits() -> None:
    assert list(get_args(Preset)) == list(PRESETS)
    assert list(get_args(EditName)) == list(EDITS)


def test_presets_come_in_the_order_asked_and_own_rules_last() -> None:
    own = {"name": "long", "signal": "shape.num_characters", "high": "1e6"}
    names = names_of({"presets": ["c4", "olmo2"], "languages": ["en"], "rules": [own]})
    assert names[:4] == ["c4.lorem_ipsum", "c4.brace", "c4.sentences", "olmo2.repeats"]
    assert names[-3:] == ["language.allowed", "language.probability", "own.long"]


def test_a_threshold_moves_and_a_rule_goes() -> None:
    settings = {
        "presets": ["c4"],
        "thresholds": {"c4.sentences": 3},
        "off": ["c4.brace"],
    }
    rules = {rule.name: rule for rule in rules_of(decode(PolicyConfig, settings, "policy"))}
    assert rules.keys() == {"c4.lorem_ipsum", "c4.sentences"}
    assert rules["c4.sentences"].low == 3
    assert rules["c4.sentences"].told() == "fewer than 3 sentences in the lines to keep"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"presets": ["gofer"]}, "expected 'gopher', 'c4'"),
        ({"presets": ["c4", "c4"]}, "presets must differ, got 'c4' twice"),
        (
            {"presets": ["gopher"], "off": ["gopher.min_word"]},
            "off: no rule is called 'gopher.min_word'; did you mean 'gopher.min_words'?",
        ),
        (
            {"presets": ["c4"], "thresholds": {"gopher.min_words": 1}},
            "rule 'gopher.min_words' belongs to preset gopher, which is not among the presets",
        ),
        (
            {"presets": ["c4"], "thresholds": {"c4.brace": 1}, "off": ["c4.brace"]},
            "rule 'c4.brace' has a threshold and is off; remove one of them",
        ),
        ({"languages": []}, "languages must name at least one"),
        (
            {"rules": [{"name": "x", "signal": "shape.num_words"}]},
            "rule 'x' needs either low or high, got neither",
        ),
        (
            {"rules": [{"name": "x", "signal": "shape.num_word", "low": 3}]},
            "no signal with numbers is called 'shape.num_word'; did you mean 'shape.num_words'?",
        ),
        (
            {"rules": [{"name": "x", "signal": "language.language", "low": 3}]},
            "no signal with numbers is called 'language.language'",
        ),
    ],
)
def test_mistakes_are_named(settings: dict[str, object], sentence: str) -> None:
    with pytest.raises(InputError) as caught:
        names_of(settings)
    assert sentence in str(caught.value)
