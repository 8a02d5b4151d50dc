"""Whom the files of a source name, without reading a pixel."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
from pyarrow import parquet

from evergrow.disk import checksum
from evergrow.images.config import ImageSourceConfig
from evergrow.images.dicom import names_in, read_dicom
from evergrow.images.files import are_gone, described_files
from evergrow.images.manifest import read_manifest
from evergrow.images.picture import IDENTIFYING
from evergrow.images.pseudonyms import Pseudonyms, secret_of
from evergrow.images.readers import read_parquet, reader_of


def identities(sources: Mapping[str, ImageSourceConfig], base: Path) -> frozenset[str]:
    """All values that say who somebody is in the sources whose files are there.

    Names of one source's patients may stand in the paths of another that does not know them; one
    alone learns its own while it is read.
    """
    found: set[str] = set()
    for name, config in sources.items():
        if len(sources) > 1 and not are_gone(config, base):
            found.update(_values(config, base, name))
    return frozenset(found)


def _values(config: ImageSourceConfig, base: Path, source: str) -> Iterator[str]:
    known, _ = read_manifest(config, base, source)
    for said in known.values():
        yield from (said.columns[c] for c in IDENTIFYING if c in said.columns)
    for path in described_files(config, base, source)[0]:
        reader = reader_of(path)
        if reader is read_dicom:
            yield from names_in(path)
        elif reader is read_parquet:
            yield from _columns(path)


def _columns(path: Path) -> Iterator[str]:
    """Who the rows of a table belong to; of a damaged one nothing: its own source refuses it."""
    try:
        with parquet.ParquetFile(path) as table:
            columns = [name for name in IDENTIFYING if name in table.schema_arrow.names]
            for batch in table.iter_batches(columns=columns) if columns else ():
                for column in batch.columns:
                    yield from (str(v).strip() for v in column.to_pylist() if v is not None)
    except (pa.ArrowException, OSError, UnicodeDecodeError):
        return


def pseudonyms_of(config: ImageSourceConfig, base: Path, source: str) -> Pseudonyms | None:
    """The names that a source's people have in its data; None when its files are gone."""
    if are_gone(config, base):
        return None
    paths, manifest = described_files(config, base, source)
    described = [*paths, *([manifest] if manifest else [])]
    return Pseudonyms(secret_of(sorted(described, key=checksum)))
