"""Sources read as they are."""

from pathlib import Path

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.records import FileRecord
from evergrow.data.corpora import as_it_is, make_corpora
from evergrow.listener import Listener


def corpus_of(config: SourceConfig, base: Path, root: Path, name: str = "web") -> Corpus:
    """The corpus that a source of a recipe is, made below ``root``."""
    return make_corpora([as_it_is(name, config)], 1, root, base, Listener())[name]


def files_of(corpus: Corpus) -> list[FileRecord]:
    """What it recorded of the files of its source."""
    return corpus.manifest.sources[corpus.manifest.name].files
