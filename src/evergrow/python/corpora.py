"""Verbs on corpora: curate, why."""

from pathlib import Path

from pydantic_core import to_jsonable_python

from evergrow.cli.corpora import show_dropped, show_waterfall, show_what_if, show_why
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.what_if import Tried
from evergrow.errors import InputError
from evergrow.flow.corpora import curate as curated
from evergrow.flow.corpora import dropped_by
from evergrow.flow.corpora import what_if as tried
from evergrow.flow.corpora import why as told_of
from evergrow.listener import Listener
from evergrow.python.bar import watched
from evergrow.python.results import PathLike, Record
from evergrow.python.run import Settings
from evergrow.recipe import find_recipe, load_corpus_recipe


def curate(
    recipe: PathLike,
    settings: Settings | None = None,
    *,
    what_if: PathLike | None = None,
    runs: PathLike = "runs",
    listener: Listener | None = None,
) -> dict[str, Record]:
    """Make a recipe's corpora; by name, what each rule dropped, and the corpus' ``folder``.

    ``what_if`` is a policy's file: what it would keep of corpora that are made; nothing is written.
    Raises InputError for wrong settings or data, EvergrowError when it failed.
    """
    path = find_recipe(Path(recipe))
    loaded = load_corpus_recipe(path, dict(settings or {}))
    if what_if is not None:
        found = tried(loaded, Path(runs), Path(what_if))
        return {told.corpus: _shown(told) for told in found}
    with watched(listener) as watch:
        made = curated(loaded, Path(runs), path.resolve().parent, watch)
    return {corpus.manifest.name: _waterfall(corpus) for corpus in made}


def _shown(told: Tried) -> Record:
    return Record(told, lambda: show_what_if(told))


def _waterfall(corpus: Corpus) -> Record:
    name, waterfall = corpus.manifest.name, corpus.manifest.waterfall
    told = {"folder": str(corpus.folder), **to_jsonable_python(waterfall)}
    return Record(told, lambda: show_waterfall(name, waterfall))


def why(
    corpus: PathLike,
    document: str | None = None,
    *,
    rule: str | None = None,
    limit: int = 20,
    runs: PathLike = "runs",
) -> Record:
    """All that kept or dropped a document, and where it went; or what a ``rule`` dropped.

    ``document`` is an id, the beginning of one, a key or a path. Raises InputError for neither or
    both, and for what the corpus does not have.
    """
    if (document is None) == (rule is None):
        raise InputError("why: name either a document, or with rule= what dropped others")
    if rule is not None:
        dropped = dropped_by(Path(corpus), rule, limit)
        return Record(dropped, lambda: show_dropped(dropped))
    answer = told_of(Path(corpus), str(document), Path(runs))
    return Record(answer, lambda: show_why(answer))
