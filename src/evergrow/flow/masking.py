"""Which objective trains a Run's model, and by which rule its tokens are hidden."""

from transformers import PreTrainedTokenizerFast

from evergrow.errors import InputError
from evergrow.models.kind import kind_of
from evergrow.recipe import Recipe
from evergrow.stream.masks import MaskRule
from evergrow.stream.pieces import pieces_of
from evergrow.stream.tokenizer import mask_id
from evergrow.train.config import MaskedConfig
from evergrow.train.masked import Masked
from evergrow.train.objectives import Causal, Objective


def mask_rule(
    recipe: Recipe, model: object, tokenizer: PreTrainedTokenizerFast, seed: int
) -> MaskRule | None:
    """How tokens are hidden from ``model``; None when it is trained to tell the next one.

    Raises InputError for an objective that does not fit the model, and for a tokenizer without a
    mask token.
    """
    try:
        asked = recipe.train.objective_of(kind_of(model) == "masked", type(model).__name__)
    except ValueError as error:
        raise InputError(f"recipe.{error}") from error
    if not isinstance(asked, MaskedConfig):
        return None
    return MaskRule(
        fraction=asked.fraction,
        whole_words=asked.whole_words,
        mask_id=mask_id(tokenizer),
        pieces=pieces_of(tokenizer),
        seed=seed,
    )


def objective_for(rule: MaskRule | None, z_loss: float) -> Objective:
    """The objective of batches that were masked by ``rule``, or not at all."""
    return Causal(z_loss) if rule is None else Masked(z_loss)
