"""Globs to files with checksums, and their bytes unpacked."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from evergrow.disk import checksum
from evergrow.errors import InputError

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file of a source; ``name`` is its path as recorded: relative to the base when inside it."""

    path: Path
    name: str
    num_bytes: int
    blake3: str

    @classmethod
    def at(cls, path: Path, base: Path) -> "SourceFile":
        """Describe the file at ``path``, which is read once for its checksum."""
        name = path.relative_to(base) if path.is_relative_to(base) else path
        return cls(path, name.as_posix(), path.stat().st_size, checksum(path))

    def record(self) -> dict[str, object]:
        """The file as a manifest's ``created_from`` lists it."""
        return {"path": self.name, "bytes": self.num_bytes, "blake3": self.blake3}


def match_files(patterns: Sequence[str], base: Path, source: str) -> list[Path]:
    """The non-empty files that the globs match, sorted, each once.

    Empty files are skipped when a wildcard found them (packages are full of empty ``__init__.py``).
    Raises InputError for a pattern without a match or with empty files only, and for a folder.
    """
    found: set[Path] = set()
    for pattern in patterns:
        where = f"sources.{source}.files: {pattern!r}"
        matches = _matches(base / Path(pattern).expanduser())
        if not matches:
            raise InputError(f"{where} matches no file under {base}; check the path")
        files = [path for path in matches if path.is_file()]
        if not files:
            raise InputError(f"{where} is a folder; name its files, for example {pattern}/**/*.txt")
        filled = [path for path in files if path.stat().st_size > 0]
        if not filled:
            raise InputError(f"{where} matches only empty files; remove it or fill them")
        found.update(filled)
    return sorted(found)


def _matches(pattern: Path) -> list[Path]:
    parts = pattern.parts
    wild = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), None)
    if wild is None or pattern.exists():
        return [pattern] if pattern.exists() else []
    return list(Path(*parts[:wild]).glob("/".join(parts[wild:])))


@contextmanager
def open_unpacked(file: SourceFile) -> Iterator[io.BufferedReader]:
    """The file's bytes, decompressed when its name ends in .gz or .zst.

    Raises InputError when the compressed data is broken or cut off.
    """
    compression = COMPRESSIONS.get(file.path.suffix.lower())
    # Arrow's streams have the methods of a raw stream but are not registered as one.
    with pa.input_stream(str(file.path), compression=compression) as stream:
        try:
            yield io.BufferedReader(stream)  # pyright: ignore[reportArgumentType]
        except OSError as error:
            if compression is None:
                raise
            raise InputError(
                f"{file.path}: the {compression} data is broken ({error}); "
                "fetch or compress the file again"
            ) from error
