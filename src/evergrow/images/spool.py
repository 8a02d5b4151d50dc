"""Pixels of many pictures in one unnamed file, so that a source need not fit into memory."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, final

import numpy as np

from evergrow.images.picture import Picture

_HELD = 64 << 20  # bytes of pixels that wait in memory


@contextmanager
def spool(folder: Path | None) -> Iterator["Spool"]:
    """A Spool whose file lies in ``folder`` (the system's for None), gone with its pictures."""
    with tempfile.TemporaryFile(dir=folder) as file:
        yield Spool(file)


@final
class Spool:
    """Pictures on their way into a file, the last of them in memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._pictures: list[Picture] = []
        self._waiting: list[Picture] = []
        self._num_bytes = 0

    def add(self, picture: Picture) -> None:
        """Take a picture; all are of one shape and type."""
        self._waiting.append(picture)
        self._num_bytes += picture.pixels.nbytes
        if self._num_bytes >= _HELD:
            self._write()

    def pictures(self) -> list[Picture]:
        """All that were added, in their order."""
        self._write()
        return self._pictures

    def _write(self) -> None:
        if not self._waiting:
            return
        start = self._file.seek(0, 2)
        for picture in self._waiting:
            self._file.write(np.ascontiguousarray(picture.pixels).data)
        self._file.flush()
        first = self._waiting[0].pixels
        shape = (len(self._waiting), *first.shape)
        mapped = np.asarray(np.memmap(self._file, first.dtype, "r", offset=start, shape=shape))
        pairs = zip(self._waiting, mapped, strict=True)
        self._pictures += [picture.with_pixels(pixels) for picture, pixels in pairs]
        self._waiting, self._num_bytes = [], 0
