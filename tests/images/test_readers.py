from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from evergrow.errors import InputError

from .make import encoded, noise, read


def test_a_parquet_that_is_damaged_inside_is_refused_with_its_path(tmp_path: Path) -> None:
    rows = [{"image": encoded(Image.fromarray(noise(n)), "PNG").read()} for n in range(20)]
    path = tmp_path / "set.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path, compression="zstd")
    whole = bytearray(path.read_bytes())
    whole[4:1500] = b"\xff" * 1496
    path.write_bytes(whole)
    with pytest.raises(InputError, match=r"set.parquet: not a whole Parquet file \(.*write it aga"):
        read(tmp_path)


def test_a_blank_cell_names_nobody(tmp_path: Path) -> None:
    png = encoded(Image.fromarray(noise(1)), "PNG").read()
    rows = [{"image": png, "patient": " ", "label": " a "}]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    pictures, _ = read(tmp_path)
    assert (pictures[0].patient, pictures[0].label) == (None, "a")
