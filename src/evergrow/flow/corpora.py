"""The corpora of a recipe made, explained, and tried under another policy."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from evergrow.config import decode, load_yaml
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.earlier import MADE, MANIFEST, finished_corpora
from evergrow.corpus.curate.executor import Executor
from evergrow.corpus.curate.stages import Order, curate_corpus
from evergrow.corpus.curate.units import tidied
from evergrow.corpus.curate.what_if import what_if as other_waterfall
from evergrow.corpus.curate.why import why as told_of
from evergrow.corpus.policies.config import PolicyConfig
from evergrow.disk import write_file
from evergrow.errors import InputError
from evergrow.flow.listener import Listener, Progress
from evergrow.recipe import CorpusRecipe
from evergrow.report import write_report
from evergrow.run import locked

FOLDER = "corpora"


def curate(recipe: CorpusRecipe, runs: Path, base: Path, listener: Listener) -> list[Corpus]:
    """Make every corpus of ``recipe`` in ``runs/<name>/corpora/<corpus>``, in order.

    What is done is skipped; a later corpus takes nothing again that an earlier one keeps. Raises
    InputError for wrong settings or data, Stopped after a signal, EvergrowError when it failed.
    """
    root = runs / recipe.name
    with (
        locked(root),
        listener.stop.listening(),
        listener.stop.at_once("the units finished so far"),
    ):
        made = make_corpora(recipe, root, base, listener)
        write_report(root)
        return made


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


def why(corpus: Path, wanted: str, runs: Path) -> dict[str, Any]:
    """All that decided about the document that ``wanted`` names, and where it went below ``runs``.

    ``corpus`` is a corpus' folder, or a recipe's with one corpus.
    """
    return told_of(Corpus.open(find_corpus(corpus)), wanted, runs)


def what_if(recipe: CorpusRecipe, runs: Path, policy: Path) -> list[dict[str, Any]]:
    """By corpus of the recipe: its waterfall, that under the policy in a file, each rule's effect.

    Nothing is written. Raises InputError for a corpus that is not made yet.
    """
    other = decode(PolicyConfig, load_yaml(policy), str(policy))
    folders = [runs / recipe.name / FOLDER / name for name in recipe.corpora]
    return [other_waterfall(Corpus.open(folder), other) for folder in folders]


def find_corpus(path: Path) -> Path:
    """The corpus' folder at ``path``, or the only one that the recipe in that folder has."""
    found = finished_corpora(path)
    if (path / MANIFEST).exists() or not found:
        return path  # opening it says what is missing
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise InputError(f"{path}: holds several corpora ({names}); name one, such as {found[0]}")
    return found[0]
