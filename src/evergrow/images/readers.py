"""Files to pictures: PNG and its like, .npz, Parquet and DICOM, one visible dict."""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.errors import InputError
from evergrow.images.bitmap import decode_bitmap
from evergrow.images.config import COLUMNS, ImageSourceConfig
from evergrow.images.dicom import read_dicom
from evergrow.images.findings import from_row
from evergrow.images.npz import read_npz
from evergrow.images.picture import Picture
from evergrow.images.unreadable import Unreadable

FileReader = Callable[[Path, str, str, ImageSourceConfig], Iterator[Picture | Unreadable]]


def read_bitmap(
    path: Path, name: str, source: str, config: ImageSourceConfig
) -> Iterator[Picture | Unreadable]:
    """One picture; every format that Pillow decodes."""
    found = decode_bitmap(path, config.white)
    if isinstance(found, Unreadable):
        yield found._replace(path=name)
    else:
        yield Picture(found.pixels, source, name, name, reading=found.reading)


def read_parquet(
    path: Path, name: str, source: str, config: ImageSourceConfig
) -> Iterator[Picture | Unreadable]:
    """Rows with an encoded picture in ``image`` (bytes, or a struct with ``bytes``, as hubs have).

    Columns patient, study, site, laterality, view, label, split and date are taken when there.
    """
    for row, values in enumerate(_table_rows(path, config.findings or [])):
        found = _row_picture(values, name, row, source, config.white)
        if config.findings is not None and isinstance(found, Picture):
            findings = from_row(values, config.findings, f"{path}, row {row}")
            found = replace(found, findings=findings)
        yield found


def _table_rows(path: Path, findings: list[str]) -> Iterator[dict[str, object]]:
    """The columns of each row that a picture takes; raises InputError for a damaged file."""
    try:
        with pq.ParquetFile(path) as table:
            names = table.schema_arrow.names
            if "image" not in names:
                raise InputError(f"{path}: no column 'image'; it has {', '.join(names)}")
            known = [name for name in (*COLUMNS, *findings) if name in names]
            for batch in table.iter_batches(64, columns=known):
                yield from batch.to_pylist()
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:160]
        raise InputError(f"{path}: not a whole Parquet file ({reason}); write it again") from error


def _row_picture(
    values: dict[str, object], name: str, row: int, source: str, white: int | None
) -> Picture | Unreadable:
    encoded = values["image"]
    data = encoded.get("bytes") if isinstance(encoded, dict) else encoded
    if not isinstance(data, bytes):
        return Unreadable(name, row, "rows without bytes in 'image'", "store encoded pictures")
    found = decode_bitmap(io.BytesIO(data), white)
    if isinstance(found, Unreadable):
        return found._replace(path=name, row=row)
    key = f"{name}#{row}"
    picture = Picture(found.pixels, source, name, key, reading=found.reading)
    known = {
        column: str(values[column] or "").strip() for column in COLUMNS[1:] if column in values
    }
    return replace(picture, **{column: value or None for column, value in known.items()})


READERS: dict[str, FileReader] = {
    ".npz": read_npz,
    ".parquet": read_parquet,
    ".dcm": read_dicom,
    ".dicom": read_dicom,
}


def reader_of(path: Path) -> FileReader:
    """By the suffix; a file without one that begins as DICOM does is DICOM; else a bitmap."""
    known = READERS.get(path.suffix.lower())
    if known is not None:
        return known
    with path.open("rb") as file:
        return read_dicom if file.read(132)[128:] == b"DICM" else read_bitmap
