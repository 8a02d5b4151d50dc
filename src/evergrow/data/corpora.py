"""The corpora of a recipe made, in order, below its folder."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.earlier import MADE, MANIFEST
from evergrow.corpus.curate.executor import Executor
from evergrow.corpus.curate.stages import Order, curate_corpus
from evergrow.corpus.curate.units import tidied
from evergrow.disk import write_file
from evergrow.errors import InputError
from evergrow.listener import Listener, Progress
from evergrow.recipe import CorpusRecipe

FOLDER = "corpora"


def make_corpora(
    recipe: CorpusRecipe,
    root: Path,
    base: Path,
    listener: Listener,
    standing: Mapping[str, Corpus] | None = None,
) -> list[Corpus]:
    """The corpora in ``root``/corpora, for who holds the folder's lock already.

    Those that are ``standing`` are taken as they are.
    """
    _refuse_itself(recipe, root, base)
    made: list[Corpus] = []
    for name, config in recipe.corpora.items():
        if standing and name in standing:
            made.append(standing[name])
            continue
        folder = root / FOLDER / name
        with tidied(folder), Executor(config.executor, recipe.workers) as executor:
            order = Order(
                folder=folder,
                name=name,
                config=config,
                sources={source: recipe.sources[source] for source in config.sources},
                base=base.resolve(),
                earlier=[*(base / p for p in config.against), *(c.folder for c in made)],
                executor=executor,
                tell=_teller(folder, listener),
            )
            made.append(curate_corpus(order))
        for warning in made[-1].manifest["warnings"]:
            listener.say(f"{name}: {warning}")
    _write_down(recipe, root, listener)
    return made


def _refuse_itself(recipe: CorpusRecipe, root: Path, base: Path) -> None:
    for name, config in recipe.corpora.items():
        for path in config.against:
            if (base / path).resolve() == (root / FOLDER / name).resolve():
                raise InputError(
                    f"corpora.{name}.against: {path!r} is the folder of this corpus itself; name "
                    "finished corpora of other recipes, earlier ones of this recipe come by "
                    "themselves"
                )


def _write_down(recipe: CorpusRecipe, root: Path, listener: Listener) -> None:
    """Which corpora the recipe has now; what else is in their folder is named."""
    write_file(root / MADE, json.dumps(list(recipe.corpora)) + "\n")
    found = sorted(path.parent.name for path in (root / FOLDER).glob(f"*/{MANIFEST}"))
    if left := [name for name in found if name not in recipe.corpora]:
        listener.say(
            f"left over in {root / FOLDER}: {', '.join(left)}, which the recipe does not have any "
            "more; delete what you need no more"
        )


def _teller(folder: Path, listener: Listener) -> Callable[[str, int, int], None]:
    def tell(stage: str, done: int, total: int) -> None:
        record = {"words": f"{done:,} of {total:,}"}
        listener.progress(Progress(folder, stage, stage, done, total, record))
        if done == total:
            listener.say(f"{folder.name}: {stage}, {total:,} done")

    return tell
