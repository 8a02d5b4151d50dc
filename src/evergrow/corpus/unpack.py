"""The bytes of a file, unpacked as they are read, and never more of them than its size explains."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, final

import pyarrow as pa

from evergrow.corpus.addresses import open_address
from evergrow.corpus.files import COMPRESSIONS, SourceFile

BUFFER_BYTES = 2**17
STEP_BYTES = 2**12
FREE_BYTES = 64 * 2**20
MAX_RATIO = 250  # judgement; text packs 3 to 20 times, logs 100, a gzip bomb 1,000, zstd's 20,000
MAX_LINE_BYTES = 32 * 2**20  # 4 MiB of text, all of it escaped as \u0000, has 24


class UnpacksTooLarge(Exception):
    """Packed data that grows past 64 MiB and 250 times what was read of it so far."""

    def __init__(self, num_bytes: int) -> None:
        super().__init__(num_bytes)
        self.num_bytes = num_bytes


class PackingBroken(Exception):
    """Packed data that is damaged or breaks off: ``offset`` bytes of it came out before."""

    def __init__(self, offset: int) -> None:
        super().__init__(offset)
        self.offset = offset


class Line(NamedTuple):
    """One line with its end; of a line longer than 32 MiB ``data`` holds only the beginning."""

    offset: int
    data: bytes
    num_bytes: int

    @property
    def is_too_long(self) -> bool:
        return self.num_bytes > len(self.data)


@final
class _Bounded(io.RawIOBase):
    """Unpacked bytes that stop with UnpacksTooLarge when they grow out of proportion.

    They come in small steps, since a step that meets damage gives nothing.
    """

    def __init__(self, packed: pa.NativeFile, compression: str) -> None:
        self._packed = packed
        self._unpacked = pa.CompressedInputStream(packed, compression)
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            count = self._unpacked.readinto(memoryview(buffer)[:STEP_BYTES])
        except OSError as error:
            if type(error) is not OSError or error.errno is not None:  # the disk's or the net's
                raise
            raise PackingBroken(self._total) from error
        self._total += count
        if self._total > max(FREE_BYTES, MAX_RATIO * self._packed.tell()):
            raise UnpacksTooLarge(self._total)
        return count


@contextmanager
def open_unpacked(file: SourceFile) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed when its name ends in .gz or .zst.

    Reading raises PackingBroken and UnpacksTooLarge.
    """
    compression = COMPRESSIONS.get(file.suffixes[1])
    with ExitStack() as stack:
        if isinstance(file.path, Path):
            if compression is None:
                yield stack.enter_context(file.path.open("rb", buffering=BUFFER_BYTES))
                return
            packed = stack.enter_context(pa.OSFile(str(file.path)))
        else:
            raw = stack.enter_context(open_address(file.path))
            if compression is None:
                yield raw
                return
            packed = stack.enter_context(pa.PythonFile(raw, "r"))
        yield io.BufferedReader(_Bounded(packed, compression), BUFFER_BYTES)


def refuse_bomb(file: SourceFile) -> None:
    """Unpack the whole file for nothing. Raises UnpacksTooLarge, which otherwise would come when
    the beginning is a document already."""
    try:
        with open_unpacked(file) as stream:
            while stream.read(2**20):
                pass
    except PackingBroken:
        return  # whoever reads the file comes upon it in its place


def read_lines(stream: BinaryIO, max_bytes: int = MAX_LINE_BYTES) -> Iterator[Line]:
    """The lines of a stream; of one longer than ``max_bytes`` only a piece is held in memory."""
    offset = 0
    while data := stream.readline(max_bytes + 1):
        size = len(data)
        if size > max_bytes:
            last, data = data, data[:max_bytes]
            while not last.endswith(b"\n") and (last := stream.readline(BUFFER_BYTES)):
                size += len(last)
        yield Line(offset, data, size)
        offset += size
