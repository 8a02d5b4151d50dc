"""The first stage: groups of a source's files to shards of documents, and what could not be read.

Files are grouped by their names and sizes alone, so neither workers nor interruptions change a
shard, and a file that comes or goes changes no group but its own. A source that stops after
max_bytes, or that is installed, is one group: where it stops depends on all that was read before.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date as Date
from pathlib import Path

from evergrow.corpus.changes import changed_files
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.curate.units import Done, finish, finished, key_of
from evergrow.corpus.document import Document
from evergrow.corpus.files import SourceFile, file_groups
from evergrow.corpus.formats import extractors
from evergrow.corpus.formats.tree import tree_facts
from evergrow.corpus.hashes import hashes_beside
from evergrow.corpus.installed import read_installed
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import BROKEN, read_files, refuse_broken, source_files
from evergrow.corpus.records import Ingested, StoredFile
from evergrow.corpus.table import write_documents
from evergrow.disk import new_file, write_file
from evergrow.errors import InputError

MAX_ROWS = 2**15  # in a shard; one of 16 MiB has fewer where they are 500 bytes or longer


@dataclass(frozen=True)
class Ingest:
    """One group of a source's files, to be read into ``documents/<unit>-<part>.parquet``.

    ``facts`` is a hash of what decides the documents beside settings and bytes: see ``facts_of``.
    ``left_out`` is what wildcards passed over, counted by kind; a unit of its own tells it.
    """

    folder: Path
    unit: str
    source: str
    config: SourceConfig
    files: tuple[SourceFile, ...]
    shard_bytes: int
    as_of: str | None
    facts: str
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def label(self) -> str:
        return f"{self.folder}: reading {self.unit}"

    @property
    def sidecar(self) -> str:
        return f"documents/{self.unit}.json"

    @property
    def key(self) -> str:
        """Of the settings, and of the files unless they are only known when they are read."""
        files = [file.record().model_dump() for file in self.files]
        settings = [self.config.content_settings, self.shard_bytes, self.as_of]
        told = [MAX_ROWS, dict(self.left_out)]
        return key_of("ingest", self.source, settings, files, self.facts, told)

    def finished(self, base: Path) -> Done[Ingested] | None:
        """The unit when it was done before with the same files."""
        done = finished(self.folder, self.sidecar, self.key, Ingested)
        if done and self.config.installed:
            changed = changed_files(self.config, base, self.source, done.counts.files)
            return None if changed else done
        return done

    def run(self) -> Done[Ingested]:
        """Read the files; raises InputError for one that is broken."""
        today = None if self.as_of is None else Date.fromisoformat(self.as_of)
        quarantine = Quarantine(self.source, max_bad=1.0, today=today)  # all groups: refuse_bad
        files = list(self.files)
        if self.config.installed:
            raw = read_installed(self.config.installed, self.source, files)
        else:
            raw = read_files(self.config, files, quarantine)
        counts: Counter[str] = Counter()
        parts = list(self._write(_up_to_bytes(raw, self.config.max_bytes), counts))
        raw.close()
        bad = self._write_quarantine(quarantine)
        told = Ingested(
            source=self.source,
            documents=counts["documents"],
            bytes=counts["bytes"],
            date=counts["date"],
            license=counts["license"],
            files=[file.record() for file in files],
            bad=dict(quarantine.reasons),
            flags=dict(quarantine.flags),
            skipped=dict(quarantine.skipped + Counter(self.left_out)),
        )
        return finish(self.folder, self.sidecar, self.key, [*parts, bad], told)

    def _write(self, documents: Iterator[Document], counts: Counter[str]) -> Iterator[StoredFile]:
        """The documents in files of about shard_bytes of text, or of MAX_ROWS documents, each."""
        first = next(documents, None)
        part = 0
        while first is not None:
            name = f"documents/{self.unit}-{part:04d}.parquet"
            with new_file(self.folder / name) as temporary:
                taken = _up_to(first, documents, self.shard_bytes, counts)
                rows, _ = write_documents(temporary, taken)
            yield StoredFile.at(self.folder, name, rows)
            first = next(documents, None)
            part += 1

    def _write_quarantine(self, quarantine: Quarantine) -> StoredFile:
        name = f"quarantine/{self.unit}.jsonl"
        lines = (
            json.dumps({"kept": kept, **asdict(record)}, ensure_ascii=False)
            for kept, records in ((False, quarantine.records), (True, quarantine.flagged))
            for record in records
        )
        write_file(self.folder / name, "".join(f"{line}\n" for line in lines))
        return StoredFile.at(self.folder, name, len(quarantine.records) + len(quarantine.flagged))


def _up_to_bytes(documents: Iterable[Document], max_bytes: int | None) -> Iterator[Document]:
    """The documents before the first one that would take the total past ``max_bytes``."""
    total = 0
    for document in documents:
        total += document.num_bytes
        if max_bytes is not None and total > max_bytes:
            return
        yield document


def _up_to(
    first: Document, following: Iterator[Document], shard_bytes: int, counts: Counter[str]
) -> Iterator[Document]:
    """``first`` and the following documents until they hold ``shard_bytes`` or are MAX_ROWS,
    counted."""
    total, rows, document = 0, 0, first
    while True:
        rows += 1
        size = document.num_bytes
        total += size
        counts.update(documents=1, bytes=size)
        counts.update(date=document.date is not None, license=document.license is not None)
        yield document
        if total >= shard_bytes or rows == MAX_ROWS:
            return
        if (after := next(following, None)) is None:
            return
        document = after


def plan_ingest(
    folder: Path, name: str, config: SourceConfig, base: Path, shard_bytes: int, as_of: str | None
) -> list[Ingest]:
    """The groups of one source; its files are read for their checksums unless they are known.

    Raises InputError for missing files, and for repeated lines dropped by the source itself.
    """
    if config.drop_repeated_lines is not None:
        raise InputError(
            f"sources.{name}.drop_repeated_lines: a corpus drops repeated lines over all its "
            "sources; remove it here and give the corpus exact: {unit: line, min_characters: "
            f"{config.drop_repeated_lines}}}"
        )
    groups: dict[str, list[SourceFile]] = {"all": []}
    left_out: Counter[str] = Counter()
    if not config.installed:
        files, left_out = source_files(config, base, name, hashes_beside(folder, name))
        groups = file_groups(files, None if config.max_bytes else shard_bytes)
    if left_out:
        groups["left-out"] = []
    return [
        Ingest(
            folder=folder,
            unit=f"{name}-{group}",
            source=name,
            config=config,
            files=tuple(members),
            shard_bytes=shard_bytes,
            as_of=as_of,
            facts=facts_of(members, config),
            left_out=left_out if group == "left-out" else {},
        )
        for group, members in groups.items()
    ]


def facts_of(files: Sequence[SourceFile], config: SourceConfig) -> str:
    """A hash of what git knows of the files' trees, of what is in these, and of the versions of
    the packages that take the text out of pages."""
    trees = dict.fromkeys(file.tree for file in files if file.tree is not None)
    return key_of([tree_facts(tree) for tree in trees], extractors(files, config))


def refuse_bad(
    folder: Path, done: Sequence[Done[Ingested]], sources: Mapping[str, SourceConfig]
) -> None:
    """Raise InputError for a source of too many unreadable documents, of none, or of no date or
    licence where its settings name one."""
    for source in dict.fromkeys(unit.counts.source for unit in done):
        config = sources[source]
        units = [unit.counts for unit in done if unit.counts.source == source]
        reasons: Counter[str] = sum((Counter(unit.bad) for unit in units), Counter())
        num_read = sum(unit.documents for unit in units)
        _refuse_share(folder, source, config.max_bad, reasons, num_read)
        refuse_broken(source, reasons[BROKEN], sum(len(unit.files) for unit in units))
        _refuse_unused(source, "date", config.date_field, sum(unit.date for unit in units))
        _refuse_unused(source, "license", config.license_field, sum(u.license for u in units))


def _refuse_share(
    folder: Path, source: str, max_bad: float, reasons: Counter[str], num_read: int
) -> None:
    num_bad = reasons.total()
    num_documents = num_bad + num_read
    if num_documents == 0:
        raise InputError(
            f"sources.{source}: its files hold no document at all; check files and format"
        )
    if num_bad > max_bad * num_documents:
        reason, count = reasons.most_common(1)[0]
        times = "once" if count == 1 else f"{count:,} times"
        raise InputError(
            f"sources.{source}: {num_bad:,} of {num_documents:,} documents cannot be read, more "
            f"than {100 * max_bad:g} %; most often ({times}) because of {reason}; every one stands "
            f"in {folder}/quarantine/{source}-*.jsonl: mend them, or raise max_bad"
        )


def _refuse_unused(name: str, what: str, field: str | None, count: int) -> None:
    """Raise InputError for a ``field`` of dates or licences that no document has anything in."""
    if field and not count:
        raise InputError(
            f"sources.{name}.{what}_field: no document has a {what} in {field!r}; "
            f"correct the name or remove {what}_field"
        )
