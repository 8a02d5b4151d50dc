"""Finished corpora that a run goes on with as they are, or refuses before one is made again."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from evergrow.corpus.changes import are_gone, changed_files
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.manifest import MANIFEST, read_manifest
from evergrow.corpus.curate.measure import suites_of
from evergrow.corpus.curate.whole import is_whole
from evergrow.corpus.hashes import hashes_beside
from evergrow.data.corpora import FOLDER, Wish
from evergrow.data.prepared import WAYS_OUT
from evergrow.errors import InputError
from evergrow.made import Made, Settings, changes, chosen

NOT_COMPARED = {"executor", "max_epochs"}
WITHOUT_EFFECT = {"signals", "shard_bytes"}  # on what is kept: said, not refused


@dataclass(frozen=True)
class _Asked:
    """A corpus that is finished, and what the recipe asks for now."""

    corpus: Corpus
    wish: Wish
    base: Path

    @property
    def config(self) -> CorpusConfig:
        return self.wish.config

    def files_are_gone(self) -> bool:
        """Whether nothing is left of the files of any of its sources."""
        return all(self._is_gone(name) for name in self.config.sources)

    def _is_gone(self, source: str) -> bool:
        known = self.corpus.manifest.sources.get(source)
        return are_gone(self.wish.sources[source], self.base, known.files if known else [])

    def other_settings(self, without: set[str]) -> list[str]:
        """The settings that are other ones now, in words."""
        return _differences(chosen(self.corpus.config, without), chosen(self.config, without))

    def other_sources(self) -> list[str]:
        """The settings of its sources that are other ones now, in words."""
        found: list[str] = []
        for name, source in self.wish.sources.items():
            known = self.corpus.manifest.sources.get(name)
            found += _differences(known.settings if known else {}, source.content_settings)
        return found

    def other_inputs(self) -> Iterator[str]:
        """The files, tests and earlier corpora that are other ones now, in words."""
        for name, source in self.wish.sources.items():
            if self._is_gone(name):
                yield f"the files of {name} are gone"
                continue
            recorded = self.corpus.manifest.sources[name].files
            hashes = hashes_beside(self.corpus.folder, name)
            yield from changed_files(source, self.base, name, recorded, hashes)
        suites = {one.suite: one.digest for one in self.corpus.manifest.suites}
        for suite in suites_of(self.config, self.base):
            if suites.get(suite.name) != suite.digest:
                yield f"the test {suite.name} changed"
        earlier = len(self.config.against) + len(self.wish.earlier)
        if earlier != len(self.corpus.parents):
            yield f"{earlier} corpora come before it, and {len(self.corpus.parents)} did"
        for parent in self.corpus.parents:
            there = (parent.folder / MANIFEST).exists()
            if there and read_manifest(parent.folder).key != parent.key:
                yield f"the earlier corpus {parent.name} changed"

    def is_whole(self) -> bool:
        folder = self.corpus.folder
        return is_whole(folder, (folder / MANIFEST).read_bytes())


def _differences(before: Settings, now: Settings) -> list[str]:
    return changes(Made(version=0, settings=before), Made(version=0, settings=now))


def standing_corpora(
    wishes: Sequence[Wish],
    root: Path,
    base: Path,
    say: Callable[[str], None],
    read: Collection[str],
) -> dict[str, Corpus]:
    """The finished corpora in ``root`` that are not made again, by name.

    Those that a stage has ``read``, and those before them, whatever became of their files, which is
    said; and those of which all raw files are gone. Nothing is written but what raw
    files hash to. Raises InputError when one that was read is asked for with other settings: made
    again in place it would be lost.
    """
    fixed = {name for wish in wishes if wish.name in read for name in (wish.name, *wish.earlier)}
    asked = [
        _Asked(Corpus.open(folder), wish, base)
        for wish in wishes
        if ((folder := root / FOLDER / wish.name) / MANIFEST).exists()
    ]
    return {one.wish.name: one.corpus for one in asked if _stands(one, one.wish.name in fixed, say)}


def _stands(asked: _Asked, is_read: bool, say: Callable[[str], None]) -> bool:
    gone = asked.files_are_gone()
    if not gone and not is_read:
        return False
    name = asked.wish.name
    others = [*asked.other_settings(NOT_COMPARED | WITHOUT_EFFECT), *asked.other_sources()]
    if others and is_read:
        more = f" (and {len(others) - 1} more)" if len(others) > 1 else ""
        raise InputError(
            f"{asked.wish.where}: {others[0]}{more}, but a stage has read it, and making it "
            f"again would replace what was trained on; restore that, {WAYS_OUT}"
        )
    if others or (not is_read and not asked.is_whole()):
        return False  # making it says what is missing, or mends it
    moved = [] if gone else list(asked.other_inputs())
    if gone:
        say(f"{name}: its files are gone; its finished corpus is used")
    elif moved:
        more = f" and {len(moved) - 1} more" if len(moved) > 1 else ""
        say(
            f"{name}: {moved[0]}{more} since it was made; what was read stays as it is, what "
            "is new can be a stage of its own (evergrow continue RUN --new)"
        )
    for change in asked.other_settings(set(CorpusConfig.model_fields) - WITHOUT_EFFECT):
        say(f"{name}: {change}, which changes nothing that is kept; it stays as it is")
    return True
