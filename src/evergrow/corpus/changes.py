"""What became of a source's files since they were read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from evergrow.corpus.addresses import is_address
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.files import SourceFile
from evergrow.corpus.installed import installed_path
from evergrow.corpus.reader import source_files
from evergrow.corpus.records import FileRecord


def changed_files(
    config: SourceConfig,
    base: Path,
    name: str,
    recorded: Sequence[FileRecord],
    hashes: Path | None = None,
) -> list[str]:
    """What differs between the files of a source now and those that a manifest recorded.

    Every file that the record ``hashes`` does not know is read for its checksum. Of an installed
    source only the recorded files are.
    """
    if config.installed:
        paths = {r.path: installed_path(config.installed, r.path) for r in recorded}
        now = {n: _record(p, n) for n, p in paths.items() if p.exists()}
    else:
        now = {file.name: file.record() for file in source_files(config, base, name, hashes).files}
    return differences(now, recorded)


def differences(now: Mapping[str, FileRecord], recorded: Sequence[FileRecord]) -> list[str]:
    """What differs, in words, between the records of files now, by name, and those made before."""
    before = {r.path: r for r in recorded}
    changed = [f"{n} changed" for n in before if n in now and now[n] != before[n]]
    gone = [f"{n} is gone" for n in before if n not in now]
    return changed + gone + [f"{n} is new" for n in now if n not in before]


def are_gone(config: SourceConfig, base: Path, recorded: Sequence[FileRecord]) -> bool:
    """Whether nothing is left of the files here that a manifest recorded."""
    names = [record.path for record in recorded]
    if config.installed or any(is_address(name) for name in names):
        return False
    return not any((base / name).exists() for name in names)


def _record(path: Path, name: str) -> FileRecord:
    return SourceFile.at(path, path.parent).record().model_copy(update={"path": name})
