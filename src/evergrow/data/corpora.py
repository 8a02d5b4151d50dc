"""The corpora of a recipe made, in order, below its folder: those it curates, and its sources of
text as they are, each of which is a corpus that no rule is asked about."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.config import CorpusConfig, ExactConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.executor import Executor
from evergrow.corpus.curate.manifest import MADE, MANIFEST
from evergrow.corpus.curate.stages import Order, curate_corpus
from evergrow.corpus.curate.units import tidied
from evergrow.corpus.curate.waterfall import drops_most
from evergrow.disk import write_file
from evergrow.errors import InputError
from evergrow.listener import Listener, Progress

FOLDER = "corpora"


@dataclass(frozen=True)
class Wish:
    """A corpus that a recipe asks for.

    where    the recipe's key that asks for it, for errors
    earlier  names of the recipe's corpora whose documents are not taken again
    """

    name: str
    where: str
    config: CorpusConfig
    sources: Mapping[str, SourceConfig]
    earlier: tuple[str, ...] = ()


def curated(corpora: Mapping[str, CorpusConfig], sources: Mapping[str, SourceConfig]) -> list[Wish]:
    """The corpora of a recipe, in its order: a later one takes nothing that an earlier one has."""
    names = tuple(corpora)
    return [
        Wish(
            name,
            f"corpora.{name}",
            config,
            {source: sources[source] for source in config.sources},
            names[:number],
        )
        for number, (name, config) in enumerate(corpora.items())
    ]


def as_it_is(name: str, source: SourceConfig) -> Wish:
    """A source that stages read without a corpus: all of it but what it repeats itself."""
    cut = source.drop_repeated_lines
    exact = ExactConfig() if cut is None else ExactConfig(unit="line", min_characters=cut)
    config = CorpusConfig(sources=[name], exact=exact, near=None)
    plain = source.model_copy(update={"drop_repeated_lines": None})
    return Wish(name, f"sources.{name}", config, {name: plain})


def make_corpora(
    wishes: Sequence[Wish],
    workers: int | None,
    root: Path,
    base: Path,
    listener: Listener,
    standing: Mapping[str, Corpus] | None = None,
) -> dict[str, Corpus]:
    """The corpora in ``root``/corpora by name, for who holds the folder's lock already.

    Those that are ``standing`` are taken as they are.
    """
    _refuse_itself(wishes, root, base)
    made = dict(standing or {})
    for wish in wishes:
        if wish.name not in made:
            made[wish.name] = _make(wish, workers, root / FOLDER, base, listener)
            told = made[wish.name].manifest.waterfall
            for warning in drops_most(told, wish.name, made[wish.name].folder):
                listener.say(warning)
        for warning in made[wish.name].manifest.warnings:
            listener.say(f"{wish.name}: {warning}")
    _write_down([wish.name for wish in wishes], root, listener)
    return {wish.name: made[wish.name] for wish in wishes}


def _make(wish: Wish, workers: int | None, corpora: Path, base: Path, listener: Listener) -> Corpus:
    folder = corpora / wish.name
    with tidied(folder), Executor(wish.config.executor, workers) as executor:
        order = Order(
            folder=folder,
            name=wish.name,
            where=wish.where,
            config=wish.config,
            sources=wish.sources,
            base=base.resolve(),
            earlier=[
                *(base / path for path in wish.config.against),
                *(corpora / name for name in wish.earlier),
            ],
            executor=executor,
            tell=_teller(folder, listener),
        )
        return curate_corpus(order)


def _refuse_itself(wishes: Iterable[Wish], root: Path, base: Path) -> None:
    for wish in wishes:
        for path in wish.config.against:
            if (base / path).resolve() == (root / FOLDER / wish.name).resolve():
                raise InputError(
                    f"{wish.where}.against: {path!r} is the folder of this corpus itself; name "
                    "finished corpora of other recipes, earlier ones of this recipe come by "
                    "themselves"
                )


def _write_down(names: Sequence[str], root: Path, listener: Listener) -> None:
    """Which corpora the recipe has now; what else is in their folder is named."""
    write_file(root / MADE, json.dumps(list(names)) + "\n")
    found = sorted(path.parent.name for path in (root / FOLDER).glob(f"*/{MANIFEST}"))
    if left := [name for name in found if name not in names]:
        listener.say(
            f"left over in {root / FOLDER}: {', '.join(left)}, which the recipe does not have any "
            "more; delete what you need no more"
        )


def _teller(folder: Path, listener: Listener) -> Callable[[str, int, int], None]:
    def tell(stage: str, done: int, total: int) -> None:
        words = f"{done:,} of {total:,}"
        listener.progress(Progress(folder, stage, stage, done, total, words=words))
        if done == total:
            listener.say(f"{folder.name}: {stage}, {total:,} done")

    return tell
