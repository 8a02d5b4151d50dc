"""Corpora on their own: made, explained, and tried under another policy."""

from pathlib import Path

from evergrow.config import decode
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.dropped import Dropped
from evergrow.corpus.curate.dropped import dropped_by as listed
from evergrow.corpus.curate.find import is_known
from evergrow.corpus.curate.manifest import MANIFEST, finished_corpora
from evergrow.corpus.curate.what_if import Tried
from evergrow.corpus.curate.what_if import what_if as other_waterfall
from evergrow.corpus.curate.why import Answer
from evergrow.corpus.curate.why import why as told_of
from evergrow.corpus.policies.config import PolicyConfig
from evergrow.data.corpora import FOLDER, curated, make_corpora
from evergrow.disk import locked
from evergrow.errors import InputError
from evergrow.listener import Listener
from evergrow.recipe import CorpusRecipe
from evergrow.report import write_report
from evergrow.run import refuse_missing
from evergrow.strict_yaml import load_yaml

MADE_BY = "make it with 'evergrow curate', or give the folder that holds it"


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
        wishes = curated(recipe.corpora, recipe.sources)
        made = make_corpora(wishes, recipe.workers, root, base, listener)
        write_report(root)
        return list(made.values())


def why(corpus: Path, wanted: str, runs: Path) -> Answer:
    """All that decided about the document that ``wanted`` names, and where it went below ``runs``.

    ``corpus`` is a corpus' folder, or a recipe's; raises InputError when several of its corpora
    know the document.
    """
    refuse_missing(corpus, MADE_BY)
    folders = [corpus] if (corpus / MANIFEST).exists() else finished_corpora(corpus)
    known = [f for f in folders if is_known(Corpus.open(f), wanted)] if folders[1:] else folders
    if len(known) > 1:
        raise InputError(
            f"{wanted!r}: known to {', '.join(f.name for f in known)}; name one, such as {known[0]}"
        )
    return told_of(Corpus.open([*known, *folders, corpus][0]), wanted, runs)


def dropped_by(corpus: Path, rule: str, limit: int) -> Dropped:
    """The documents that ``rule`` dropped from the corpus at ``corpus``, at most ``limit``."""
    return listed(Corpus.open(find_corpus(corpus)), rule, limit)


def what_if(recipe: CorpusRecipe, runs: Path, policy: Path) -> list[Tried]:
    """By corpus of the recipe: its waterfall, that under the policy in a file, each rule's effect.

    Nothing is written. Raises InputError for a corpus that is not made yet.
    """
    other = decode(PolicyConfig, load_yaml(policy), str(policy))
    folders = [runs / recipe.name / FOLDER / name for name in recipe.corpora]
    return [other_waterfall(Corpus.open(folder), other) for folder in folders]


def find_corpus(path: Path) -> Path:
    """The corpus' folder at ``path``, or the only one that the recipe in that folder has."""
    refuse_missing(path, MADE_BY)
    found = finished_corpora(path)
    if (path / MANIFEST).exists() or not found:
        return path  # opening it says what is missing
    if len(found) > 1:
        names = ", ".join(p.name for p in found)
        raise InputError(f"{path}: holds several corpora ({names}); name one, such as {found[0]}")
    return found[0]
