"""Recipes carried out, and the verbs on what they made; the Python names of the command line."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from evergrow.flow.corpora import curate, what_if, why
    from evergrow.flow.dry import draw_plan
    from evergrow.flow.listing import list_runs
    from evergrow.flow.look import evaluate, prune, sample
    from evergrow.flow.recipes import carry_out
    from evergrow.flow.verbs import anneal, continue_model, continue_run, extend
    from evergrow.listener import Listener
    from evergrow.recipe import load_corpus_recipe, load_recipe

_HOMES = {
    "carry_out": "evergrow.flow.recipes",
    "draw_plan": "evergrow.flow.dry",
    "Listener": "evergrow.listener",
    "evaluate": "evergrow.flow.look",
    "list_runs": "evergrow.flow.listing",
    "prune": "evergrow.flow.look",
    "sample": "evergrow.flow.look",
    "anneal": "evergrow.flow.verbs",
    "continue_model": "evergrow.flow.verbs",
    "continue_run": "evergrow.flow.verbs",
    "curate": "evergrow.flow.corpora",
    "extend": "evergrow.flow.verbs",
    "load_corpus_recipe": "evergrow.recipe",
    "load_recipe": "evergrow.recipe",
    "what_if": "evergrow.flow.corpora",
    "why": "evergrow.flow.corpora",
}

__all__ = [
    "Listener",
    "anneal",
    "carry_out",
    "continue_model",
    "continue_run",
    "curate",
    "draw_plan",
    "evaluate",
    "extend",
    "list_runs",
    "load_corpus_recipe",
    "load_recipe",
    "prune",
    "sample",
    "what_if",
    "why",
]


def __getattr__(name: str) -> Any:
    """Import a verb when it is first asked for: many need neither torch nor transformers."""
    if name not in _HOMES:
        raise AttributeError(f"module 'evergrow.flow' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
