"""Finished corpora that a run goes on with as they are, or refuses before one is made again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.earlier import MANIFEST, read_manifest
from evergrow.corpus.curate.measure import suites_of
from evergrow.corpus.curate.whole import is_whole
from evergrow.corpus.source import are_gone, changed_files
from evergrow.errors import InputError
from evergrow.flow.corpora import FOLDER
from evergrow.flow.prepare import WAYS_OUT, finished_folder
from evergrow.recipe import CorpusRecipe
from evergrow.stream.shards import read_manifest as read_data_manifest

NOT_COMPARED = {"executor", "max_epochs"}
WITHOUT_EFFECT = {"signals", "shard_bytes"}  # on what is kept: said, not refused


@dataclass(frozen=True)
class _Asked:
    """A corpus that is finished, and what the recipe asks for now."""

    corpus: Corpus
    recipe: CorpusRecipe
    name: str
    base: Path

    @property
    def config(self) -> CorpusConfig:
        return self.recipe.corpora[self.name]

    def files_are_gone(self) -> bool:
        """Whether nothing is left of the files of any of its sources."""
        return all(self._is_gone(name) for name in self.config.sources)

    def _is_gone(self, source: str) -> bool:
        recorded = self.corpus.manifest["sources"].get(source, {"files": []})["files"]
        return are_gone(self.recipe.sources[source], self.base, recorded)

    def other_settings(self) -> Iterator[str]:
        """The settings that are other ones now, in words, of the corpus and of its sources."""
        yield from self._other(set(CorpusConfig.model_fields) - NOT_COMPARED - WITHOUT_EFFECT)
        for source in self.config.sources:
            known = self.corpus.manifest["sources"].get(source, {"settings": {}})["settings"]
            for key, value in self.recipe.sources[source].content_settings.items():
                if value != known.get(key):
                    yield f"{key} of {source} is {value!r}, and was {known.get(key)!r}"

    def without_effect(self) -> Iterator[str]:
        """The settings that are other ones now and have no effect on what is kept."""
        yield from self._other(WITHOUT_EFFECT)

    def _other(self, of: set[str]) -> Iterator[str]:
        before = self.corpus.manifest["settings"]
        for key, value in self.config.model_dump(mode="json", include=of).items():
            if value != before.get(key):
                yield f"{key} is {value!r}, and was {before.get(key)!r}"

    def other_inputs(self) -> Iterator[str]:
        """The files, tests and earlier corpora that are other ones now, in words."""
        for source in self.config.sources:
            if self._is_gone(source):
                yield f"the files of {source} are gone"
                continue
            recorded = self.corpus.manifest["sources"][source]["files"]
            yield from changed_files(self.recipe.sources[source], self.base, source, recorded)
        suites = {one["suite"]: one["digest"] for one in self.corpus.manifest["suites"]}
        for suite in suites_of(self.config, self.base):
            if suites.get(suite.name) != suite.digest:
                yield f"the test {suite.name} changed"
        earlier = len(self.config.against) + list(self.recipe.corpora).index(self.name)
        if earlier != len(self.corpus.parents):
            yield f"{earlier} corpora come before it, and {len(self.corpus.parents)} did"
        for parent in self.corpus.parents:
            there = (parent.folder / MANIFEST).exists()
            if there and read_manifest(parent.folder)["key"] != parent.key:
                yield f"the earlier corpus {parent.name} changed"

    def is_whole(self) -> bool:
        folder = self.corpus.folder
        return is_whole(folder, (folder / MANIFEST).read_bytes())


def standing_corpora(
    recipe: CorpusRecipe, root: Path, base: Path, say: Callable[[str], None]
) -> dict[str, Corpus]:
    """The finished corpora in ``root`` that are not made again, by name.

    Those that data of ``root`` was made of, and those before them, as long as nothing about them
    changed; and those of which all raw files are gone. Nothing is written. Raises InputError when
    one that data was made of is asked for otherwise: made again in place it would be lost.
    """
    asked = {
        name: _Asked(Corpus.open(folder), recipe, name, base)
        for name in recipe.corpora
        if ((folder := root / FOLDER / name) / MANIFEST).exists()
    }
    names = list(asked)
    trained = [number for number, name in enumerate(names) if _has_data(root, asked[name])]
    read = set(names[: max(trained, default=-1) + 1])
    found = {}
    for name, one in asked.items():
        if _stands(one, name in read, say):
            found[name] = one.corpus
    return found


def _has_data(root: Path, asked: _Asked) -> bool:
    """Whether finished data was made of just this corpus."""
    folder = finished_folder(root / "data", asked.name)
    made_of = read_data_manifest(folder)["settings"].get("corpus") if folder else None
    return made_of == asked.corpus.key


def _stands(asked: _Asked, is_read: bool, say: Callable[[str], None]) -> bool:
    gone = asked.files_are_gone()
    if not gone and not is_read:
        return False
    changes = [*asked.other_settings(), *([] if gone else asked.other_inputs())]
    if changes and is_read:
        more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
        raise InputError(
            f"corpora.{asked.name}: {changes[0]}{more} since its data was made, and making it "
            f"again would replace what was trained on; restore that, {WAYS_OUT}"
        )
    if changes or not asked.is_whole():
        return False  # making it says what is missing, or mends it
    if gone:
        say(f"{asked.name}: its files are gone; its finished corpus is used")
    for change in asked.without_effect():
        say(f"{asked.name}: {change}, which changes nothing that is kept; it stays as it is")
    return True
