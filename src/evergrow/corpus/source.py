"""One source from its files to clean documents: read, without repeats, up to its size."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from evergrow.corpus.addresses import is_address
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.files import SourceFile
from evergrow.corpus.installed import installed_path, read_installed
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.reader import BROKEN, read_files, refuse_broken, source_files
from evergrow.corpus.repeats import Dropped, KnownDocuments, up_to_bytes, without_repeats
from evergrow.errors import InputError


@dataclass
class SourceReading:
    """What came in and what did not while one source was read; filled by ``source_documents``."""

    quarantine: Quarantine
    files: list[SourceFile] = field(default_factory=list)
    dropped: Dropped = field(default_factory=Dropped)
    num_dated: int = 0
    num_licensed: int = 0


def source_documents(
    config: SourceConfig,
    base: Path,
    earlier: KnownDocuments,
    reading: SourceReading,
    hashes: Path | None = None,
) -> Iterator[Document]:
    """The documents of a source that ``earlier`` ones lack, without repeats, up to max_bytes.

    The order is fixed by the files' names. Raises InputError for missing, empty or broken files,
    past the quarantine's share of bad documents, and for a date or licence that no document has.
    """
    name = reading.quarantine.source
    if config.installed:
        raw = read_installed(config.installed, name, reading.files)
    else:
        files, skipped = source_files(config, base, name, hashes)
        reading.files += files
        reading.quarantine.skipped += skipped
        raw = read_files(config, reading.files, reading.quarantine)
    with closing(raw):
        new = without_repeats(raw, config.drop_repeated_lines, earlier, reading.dropped)
        for document in up_to_bytes(new, config.max_bytes):
            reading.num_dated += document.date is not None
            reading.num_licensed += document.license is not None
            yield document
    reading.quarantine.check()
    refuse_broken(name, reading.quarantine.reasons[BROKEN], len(reading.files))
    refuse_unused(name, "date", config.date_field, reading.num_dated)
    refuse_unused(name, "license", config.license_field, reading.num_licensed)


def refuse_unused(name: str, what: str, field: str | None, count: int) -> None:
    """Raise InputError for a ``field`` of dates or licences that no document has anything in."""
    if field and not count:
        raise InputError(
            f"sources.{name}.{what}_field: no document has a {what} in {field!r}; "
            f"correct the name or remove {what}_field"
        )


def changed_files(
    config: SourceConfig,
    base: Path,
    name: str,
    recorded: list[dict[str, object]],
    hashes: Path | None = None,
) -> list[str]:
    """What differs between the files of a source now and those that a manifest recorded.

    Every file that the record ``hashes`` does not know is read for its checksum. Of an installed
    source only the recorded files are.
    """
    if config.installed:
        paths = {str(r["path"]): installed_path(config.installed, str(r["path"])) for r in recorded}
        now = {n: _record(p, n) for n, p in paths.items() if p.exists()}
    else:
        now = {file.name: file.record() for file in source_files(config, base, name, hashes).files}
    return differences(now, recorded)


def differences(
    now: Mapping[str, Mapping[str, object]], recorded: Sequence[Mapping[str, object]]
) -> list[str]:
    """What differs, in words, between the records of files now, by name, and those made before."""
    before = {str(r["path"]): r for r in recorded}
    changed = [f"{n} changed" for n in before if n in now and now[n] != before[n]]
    gone = [f"{n} is gone" for n in before if n not in now]
    return changed + gone + [f"{n} is new" for n in now if n not in before]


def are_gone(config: SourceConfig, base: Path, recorded: list[dict[str, object]]) -> bool:
    """Whether nothing is left of the files here that a manifest recorded."""
    names = [str(record["path"]) for record in recorded]
    if config.installed or any(is_address(name) for name in names):
        return False
    return not any((base / name).exists() for name in names)


def _record(path: Path, name: str) -> dict[str, object]:
    return SourceFile.at(path, path.parent).record() | {"path": name}
