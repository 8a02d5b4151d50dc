from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image
from pydantic import ValidationError

from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig

from .make import encoded, noise, read, write_png


def films(folder: Path, text: str) -> None:
    for number in range(4):
        write_png(folder / f"{number}.png", number)
    (folder / "films.csv").write_text(text)


LISTED = {"images": ["*.png"], "manifest": "films.csv"}


def test_a_column_of_ones_zeros_and_unknowns(tmp_path: Path) -> None:
    """As the labels of CheXpert are."""
    rows = ["Path,Edema,Mass", "0.png,1.0,", "1.png,0.0,1.0", "2.png,-1.0,", "3.png,,0.0"]
    films(tmp_path, "\n".join(rows) + "\n")
    settings = {**LISTED, "columns": {"image": "Path"}, "finding": "Edema"}
    assert [p.label for p in read(tmp_path, **settings)[0]] == ["present", "absent", None, None]
    known = read(tmp_path, **settings, only=["present", "absent"])[0]
    assert [p.key for p in known] == ["0.png", "1.png"]
    films(tmp_path, "image,Edema\n0.png,1\n1.png,0\n2.png,maybe\n3.png,1\n")
    with pytest.raises(InputError, match=r"line 4: Edema is 'maybe'; a finding is 1, 0, and -1 or"):
        read(tmp_path, **LISTED, finding="Edema")


def test_a_name_among_several_labels(tmp_path: Path) -> None:
    """As the table of the NIH's chest films has them."""
    films(tmp_path, "image,label\n0.png,Mass|Edema\n1.png,No Finding\n2.png,Edematous\n3.png,\n")
    found = read(tmp_path, **LISTED, finding="Edema")[0]
    assert [p.label for p in found] == ["present", "absent", "absent", None]
    with pytest.raises(InputError, match="no picture has the finding 'Oedema'; check its name"):
        read(tmp_path, **LISTED, finding="Oedema")


def test_a_column_of_an_archives_labels(tmp_path: Path) -> None:
    """As ChestMNIST has them."""
    labels = np.array([[0, 1], [1, 0], [0, -1]], np.int8)
    np.savez(tmp_path / "set.npz", images=np.stack([noise(n) for n in range(3)]), labels=labels)
    assert [p.label for p in read(tmp_path, finding="1")[0]] == ["present", "absent", None]
    for finding in ("2", "Edema"):
        with pytest.raises(InputError, match=r"labels is \[3, 2\] of int8 .* the number of a col"):
            read(tmp_path, finding=finding)


def test_a_column_of_a_table(tmp_path: Path) -> None:
    png = encoded(Image.fromarray(noise(1)), "PNG").read()
    rows = [{"image": png, "Edema": value} for value in (1.0, 0.0, -1.0, None)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "set.parquet")
    found = read(tmp_path, finding="Edema")[0]
    assert [p.label for p in found] == ["present", "absent", None, None]


def test_folders_are_no_findings() -> None:
    with pytest.raises(ValidationError, match="label_from: folder and finding both give labels"):
        ImageSourceConfig.model_validate(
            {"images": ["*"], "finding": "Edema", "label_from": "folder"}
        )
