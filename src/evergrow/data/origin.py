"""Where the documents of a stream come from: the files of a source, or a corpus made before."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, final

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.document import Document
from evergrow.corpus.hashes import hashes_beside
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.repeats import KnownDocuments, without_repeats
from evergrow.corpus.source import SourceReading, are_gone, changed_files, source_documents

Records = list[dict[str, object]]  # of files, as a data manifest lists them


class Origin(Protocol):
    """What preparing a stream asks of it."""

    @property
    def settings(self) -> dict[str, Any]:
        """What decides the documents beside the files; part of the data's key."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What else the data's manifest says of where it comes from."""
        ...

    def documents(self, earlier: KnownDocuments, reading: SourceReading) -> Iterator[Document]:
        """The documents that ``earlier`` streams lack; ``reading`` is filled."""
        ...

    def reading(self, name: str) -> SourceReading:
        """An empty record of a reading."""
        ...

    def is_gone(self, recorded: Records) -> bool:
        """Whether nothing is left of the files that a manifest recorded."""
        ...

    def changes(self, name: str, recorded: Records) -> list[str]:
        """What differs between the files now and those recorded, in words."""
        ...


@final
@dataclass(frozen=True)
class Files:
    """A source of the recipe; ``base`` is where its relative globs start, and ``hashes`` where what
    its files hashed to is recorded."""

    config: SourceConfig
    base: Path
    hashes: Path

    @property
    def settings(self) -> dict[str, Any]:
        return dict(self.config.content_settings)

    @property
    def facts(self) -> dict[str, Any]:
        return {}

    def documents(self, earlier: KnownDocuments, reading: SourceReading) -> Iterator[Document]:
        return source_documents(self.config, self.base, earlier, reading, self.hashes)

    def reading(self, name: str) -> SourceReading:
        return SourceReading(Quarantine(name, self.config.max_bad))

    def is_gone(self, recorded: Records) -> bool:
        return are_gone(self.config, self.base, recorded)

    def changes(self, name: str, recorded: Records) -> list[str]:
        return changed_files(self.config, self.base, name, recorded, self.hashes)


@final
@dataclass(frozen=True)
class Curated:
    """A corpus of the recipe; its key stands for all that decides its documents."""

    corpus: Corpus

    @property
    def settings(self) -> dict[str, Any]:
        return {"corpus": self.corpus.key}

    @property
    def facts(self) -> dict[str, Any]:
        manifest = self.corpus.manifest
        parents = [{"name": p["name"], "key": p["key"]} for p in manifest["parents"]]
        made = {"name": manifest["name"], "key": self.corpus.key, "parents": parents}
        return {"corpus": {**made, "checked_against": manifest["suites"]}}

    def documents(self, earlier: KnownDocuments, reading: SourceReading) -> Iterator[Document]:
        yield from without_repeats(self.corpus.documents(), None, earlier, reading.dropped)

    def reading(self, name: str) -> SourceReading:
        return SourceReading(Quarantine(name))

    def is_gone(self, recorded: Records) -> bool:
        return False

    def changes(self, name: str, recorded: Records) -> list[str]:
        return []


def origins(
    sources: Mapping[str, SourceConfig], corpora: Mapping[str, Corpus], base: Path, root: Path
) -> dict[str, Origin]:
    """Every stream's origin by name, sources first, in the order of the recipe."""
    files: dict[str, Origin] = {
        name: Files(config, base, hashes_beside(root / "data", name))
        for name, config in sources.items()
    }
    return {**files, **{name: Curated(corpus) for name, corpus in corpora.items()}}
