"""The whole recipe as one strict model: what is trained on what, in which order, in which arms."""

from evergrow.recipe.corpora import CorpusRecipe
from evergrow.recipe.load import decode_recipe, find_recipe, load_corpus_recipe, load_recipe
from evergrow.recipe.stages import LENGTHS, Beginning, Replay, StageConfig
from evergrow.recipe.whole import MAIN_ARM, AnySource, EvaluateConfig, Recipe

__all__ = [
    "LENGTHS",
    "MAIN_ARM",
    "AnySource",
    "Beginning",
    "CorpusRecipe",
    "EvaluateConfig",
    "Recipe",
    "Replay",
    "StageConfig",
    "decode_recipe",
    "find_recipe",
    "load_corpus_recipe",
    "load_recipe",
]
