import mmap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evergrow.images import spool as spool_file
from evergrow.images.picture import Picture
from evergrow.images.spool import spool


def test_pictures_come_back_in_order_from_a_file_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_file, "_HELD", 100)  # bytes: of every second picture
    drawn = np.random.default_rng(0).integers(0, 65_536, (7, 1, 5, 6), dtype=np.uint16)
    with spool(tmp_path) as spooled:
        for number, pixels in enumerate(drawn):
            spooled.add(Picture(pixels, "films", str(number), str(number)))
        found = spooled.pictures()
    assert list(tmp_path.iterdir()) == []
    assert [p.key for p in found] == list("0123456")
    for picture in found:
        held: Any = picture.pixels
        while isinstance(held, np.ndarray):
            held = held.base
        assert isinstance(held, mmap.mmap)
    assert np.array_equal(np.stack([p.pixels for p in found]), drawn)
