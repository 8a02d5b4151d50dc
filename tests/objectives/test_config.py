"""Which objective reads which form and trains which model; every one of them has its case."""

import pytest

from evergrow.objectives import OBJECTIVES
from evergrow.objectives.config import (
    OBJECTIVE_CONFIGS,
    ClassificationConfig,
    Form,
    TrainConfig,
    kinds_of,
    resolved,
)
from evergrow.train.config import LoopConfig


def test_training_is_set_as_olmo_2_was() -> None:
    # arXiv 2501.00656, section 3, and its configurations, whose z-loss the text prints as 1e-4
    train = TrainConfig(batch_size=1)
    adam = train.optimizer
    assert (adam.beta1, adam.beta2, adam.epsilon, adam.weight_decay) == (0.9, 0.95, 1e-8, 0.1)
    assert (train.z_loss, train.clip_norm, train.skip_sigma) == (1e-5, 1.0, 6.0)


# Of each objective: the form of its data, and the kinds of model that it trains.
CASES = {
    "causal": ("tokens", ("causal",)),
    "masked": ("tokens", ("masked",)),
    "masked_patches": ("pictures", ("patches",)),
    "classification": ("pictures", ("classes",)),
    "findings": ("pictures", ("classes",)),
    "sft": ("examples", ("causal",)),
}


def test_every_objective_has_settings_a_maker_and_a_case() -> None:
    found = {c.model_fields["kind"].default: (c.form, c.trains) for c in OBJECTIVE_CONFIGS}
    assert found == CASES
    assert OBJECTIVES.keys() == CASES.keys()


def test_kinds_by_form_and_by_what_they_train() -> None:
    assert kinds_of("tokens") == ["causal", "masked"]
    assert kinds_of("pictures") == ["masked_patches", "classification", "findings"]
    assert kinds_of("examples") == ["sft"]
    assert kinds_of("tokens", "masked") == ["masked"]
    assert kinds_of("examples", "masked") == []


def train(objective: str | None = None, **settings: object) -> TrainConfig:
    asked = None if objective is None else {"kind": objective}
    return TrainConfig.model_validate({"batch_size": 2, "objective": asked, **settings})


@pytest.mark.parametrize("kind", CASES)
def test_what_is_asked_for_is_taken_and_what_is_usual_else(kind: str) -> None:
    form, trains = CASES[kind]
    for model in trains:
        assert resolved(train(kind), form, model, "m").kind == kind
        usual = "classification" if kind == "findings" else kind  # which has to be asked for
        assert resolved(train(), form, model, "m").kind == usual


def test_the_body_of_a_vision_model_takes_the_head_that_is_needed() -> None:
    assert resolved(train("classification"), "pictures", "patches", "m").kind == "classification"
    assert resolved(train("masked_patches"), "pictures", "classes", "m").kind == "masked_patches"


@pytest.mark.parametrize(
    ("settings", "form", "kind", "said"),
    [
        (
            train("sft"),
            "tokens",
            "causal",
            "train.objective: sft is not for these sources, which are tokens; remove it or choose "
            "causal or masked",
        ),
        (
            train("masked"),
            "tokens",
            "causal",
            "train.objective: m sees only what stands before a token, got kind masked; "
            "set kind: causal, or choose a masked model",
        ),
        (
            train("causal"),
            "tokens",
            "masked",
            "train.objective: m sees both sides of a token, got kind causal; "
            "set kind: masked, or choose a causal model",
        ),
        (
            train(),
            "examples",
            "masked",
            "train.objective: m sees both sides of a token, got kind sft; "
            "set kind: one for it, which there is not, or choose a causal model",
        ),
        (train(), "pictures", "causal", "m reads text, the sources are not; choose another"),
        (train(), "tokens", "patches", "m reads pictures, the sources are not; choose another"),
        (
            train(separate_documents=True),
            "tokens",
            "masked",
            "train.separate_documents: is for causal models, got true with m; remove it",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    settings: TrainConfig, form: Form, kind: str, said: str
) -> None:
    with pytest.raises(ValueError) as caught:
        resolved(settings, form, kind, "m")
    assert str(caught.value) == said


def test_classes_are_balanced_once() -> None:
    with pytest.raises(ValueError, match="weights and order are both balanced"):
        ClassificationConfig(weights="balanced", order="balanced")


def test_what_a_step_is_computed_on_is_among_the_settings_of_the_loop() -> None:
    assert LoopConfig.model_fields.keys() > LoopConfig.RESOURCES
    assert train(sequence_length=8).tokens_per_step == 16
