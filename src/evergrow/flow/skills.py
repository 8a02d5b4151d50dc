"""A recipe's suites asked of every release of a Run, and what a stage lost of them."""

from collections.abc import Callable
from pathlib import Path

from evergrow.config import decode
from evergrow.corpus.contamination import load_suite
from evergrow.errors import InputError
from evergrow.evals.suites.items import open_suite
from evergrow.evals.suites.records import SuiteScore
from evergrow.flow.find import remembered_base
from evergrow.flow.suites import compared, scored
from evergrow.listener import Listener
from evergrow.recipe import Recipe
from evergrow.run import Run
from evergrow.sandbox.probe import tier
from evergrow.scores.suites import is_scored, score_suite

LEVEL = 0.05


def check_suites(recipe: Recipe, base: Path, say: Callable[[str], None]) -> None:
    """Raise what would stop the scoring of a recipe's suites, before anything is trained.

    A suite that is none, answers that would be one, a masked model, programs without a sandbox.
    Says which corpora are not searched for a suite.
    """
    if recipe.suites and recipe.hides_tokens:
        raise InputError(
            "recipe.suites: are asked of causal models, and this one is masked; remove them"
        )
    for name, config in recipe.suites.items():
        suite = open_suite(config.suite, base)
        if suite.kind == "program":
            tier()
        try:
            config.asked.sampling(None, [])
        except InputError as error:
            raise InputError(f"recipe.suites.{name}: {error}") from error
        for corpus, made in recipe.corpora.items():
            wanted = made.decontaminate.suites if made.decontaminate else []
            if suite.searched_as not in {load_suite(one, base).digest for one in wanted}:
                say(
                    f"suites.{name}: the corpus {corpus} is not searched for its items; name "
                    f"{config.suite} in corpora.{corpus}.decontaminate.suites"
                )


def score_skills(root: Path, run: Run, listener: Listener) -> None:
    """Ask every release of a finished stage what the recipe's suites ask; what was asked is kept.

    Says each new score, and what a stage lost of the stage before it (a paired test at .05).
    """
    manifest, base = run.manifest, remembered_base(root)
    recipe = decode(Recipe, manifest.recipe, "manifest.recipe")
    for name, config in recipe.suites.items():
        suite, scores = open_suite(config.suite, base), dict[int, SuiteScore]()
        for place, stage in enumerate(manifest.stages):
            if stage.status != "done":
                continue
            who = scored(run.folder / str(stage.release))
            is_new = not is_scored(who, suite, config.asked)
            scores[place] = score_suite(who, suite, config.asked)
            if is_new:
                before = scores.get(stage.path[-2]) if len(stage.path) > 1 else None
                label = f"{manifest.arm}, {stage.name}: {name}"
                listener.say(_sentence(label, scores[place], before))


def _sentence(label: str, score: SuiteScore, before: SuiteScore | None) -> str:
    own = score.own
    said = f"{label} {100 * own.value:.1f} % ({100 * own.low:.1f} to {100 * own.high:.1f})"
    if before is None or (lost := points_lost(before, score)) is None:
        return said
    return f"{said}; lost: {100 * lost:.1f} points of the stage before it"


def points_lost(before: SuiteScore, score: SuiteScore) -> float | None:
    """How much worse a score is, where that is more than chance."""
    found = compared(before, score)
    return found.difference if found.p_value <= LEVEL and found.difference > 0 else None
