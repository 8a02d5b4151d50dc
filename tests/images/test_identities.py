from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from evergrow.images.config import ImageSourceConfig
from evergrow.images.identities import identities, pseudonyms_of
from evergrow.images.source import ImageReading, source_pictures

from .make import encoded, noise, write_dicom, write_png


def sources(folder: Path) -> dict[str, ImageSourceConfig]:
    """A header, a manifest and a table, each of which names somebody; and a source that is gone."""
    words = {"PatientName": "Roe^Jane", "OtherPatientIDs": ["X1", "X2"]}
    write_dicom(folder / "a.dcm", noise(1).astype(np.uint16), **words)
    write_png(folder / "b.png", 2)
    (folder / "b.csv").write_text("image,patient,site\nb.png,P77,Ward 9\n")
    png = encoded(Image.fromarray(noise(3)), "PNG").read()
    pq.write_table(pa.Table.from_pylist([{"image": png, "study": "S42"}]), folder / "c.parquet")
    (folder / "broken.dcm").write_text("no DICOM")
    return {
        "dicom": ImageSourceConfig(images=["*.dcm"]),
        "listed": ImageSourceConfig(images=["b.png"], manifest="b.csv"),
        "table": ImageSourceConfig(images=["*.parquet"]),
        "gone": ImageSourceConfig(images=["none/*"]),
        "digits": ImageSourceConfig(pictures="digits"),
    }


def test_everybody_is_found_without_reading_a_pixel(tmp_path: Path) -> None:
    found = identities(sources(tmp_path), tmp_path)
    assert found >= {"DOE1234", "Roe^Jane", "Roe", "Jane", "X1", "X2", "1.2.3.4", "St Elsewhere"}
    assert found >= {"P77", "Ward 9", "S42"}
    assert not found & {"", "b.png", "None"}
    one = {"listed": sources(tmp_path)["listed"]}
    assert identities(one, tmp_path) == frozenset()  # it learns its own


def test_the_pseudonyms_of_a_source_are_those_in_its_data(tmp_path: Path) -> None:
    config = sources(tmp_path)["listed"]
    (picture,) = source_pictures(config, tmp_path, "listed", ImageReading())
    names = pseudonyms_of(config, tmp_path, "listed")
    assert names is not None
    assert names.name("p77") == names.of_place(picture.drawn) == picture.patient
    assert pseudonyms_of(sources(tmp_path)["gone"], tmp_path, "gone") is None
