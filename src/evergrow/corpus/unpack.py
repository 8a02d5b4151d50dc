"""The bytes of a file, unpacked as they are read, and never more of them than its size explains."""

import io
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, final

from blake3 import blake3

from evergrow.corpus.addresses import open_address
from evergrow.corpus.decoders import ERRORS, PACKED, Decoder, Packing
from evergrow.corpus.files import SourceFile
from evergrow.corpus.quarantine import Quarantine
from evergrow.errors import InputError

BUFFER_BYTES = 2**17
INPUT_BYTES = 2**14
STEP_BYTES = 2**12
HEAD_BYTES = 16  # longer than what any packed data begins with
FREE_BYTES = 64 * 2**20
MAX_RATIO = 250  # judgement; text packs 3 to 20 times, logs 100, a gzip bomb 1,000, zstd's 20,000
MAX_LINE_BYTES = 32 * 2**20  # 4 MiB of text, all of it escaped as \u0000, has 24
BEHIND = "packed data with something else behind it"


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
class _AsHashed(io.RawIOBase):
    """The bytes that a file's checksum was taken of: none that were appended since.

    Raises InputError at their end when they are others.
    """

    def __init__(self, raw: BinaryIO, file: SourceFile) -> None:
        self._raw = raw
        self._file = file
        self._left = file.num_bytes
        self._digest = blake3()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = self._raw.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._digest.update(data)
        self._left -= len(data)
        if (not data or not self._left) and self._digest.hexdigest() != self._file.blake3:
            raise changed(self._file)
        return len(data)


def changed(file: SourceFile) -> InputError:
    """What to raise for a file that is not what its checksum says."""
    return InputError(
        f"{file.path}: changed while it was being read; run again when nothing writes to it"
    )


def refuse_changed(file: SourceFile) -> None:
    """Raise InputError for a file that was written to since its checksum was taken; for what is
    not read from one end to the other."""
    if file.mtime_ns is None or not isinstance(file.path, Path):
        return
    stat = file.path.stat()
    if (stat.st_size, stat.st_mtime_ns) != (file.num_bytes, file.mtime_ns):
        raise changed(file)


@final
class _Unpacked(io.RawIOBase):
    """Unpacked bytes that stop with UnpacksTooLarge when they grow out of proportion.

    They come in small steps, since a step that meets damage gives nothing. Zeros behind the last
    member are padding; anything else there is left out, and ``behind`` begins it.
    """

    def __init__(self, packed: BinaryIO, packing: Packing) -> None:
        self._packed = packed
        self._packing = packing
        self._decoder: Decoder | None = packing.decoder()
        self._rest = b""
        self._num_packed = self.num_bytes = 0
        self.behind = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        data = b""
        while not data and self._decoder is not None:
            data = self._step(self._decoder, min(len(buffer), STEP_BYTES))
            if self._decoder.eof:
                self._decoder = self._following(self._decoder.unused_data)
        buffer[: len(data)] = data
        self.num_bytes += len(data)
        if self.num_bytes > max(FREE_BYTES, MAX_RATIO * self._num_packed):
            raise UnpacksTooLarge(self.num_bytes)
        return len(data)

    def _step(self, decoder: Decoder, max_bytes: int) -> bytes:
        asks = decoder.needs_input
        given = self._input() if asks else b""
        try:
            data = decoder.decompress(given, max_bytes)
        except ERRORS as error:
            raise PackingBroken(self.num_bytes) from error
        if asks and not given and not data and not decoder.eof:
            raise PackingBroken(self.num_bytes)
        return data

    def _input(self) -> bytes:
        given, self._rest = self._rest, b""
        if not given:
            given = self._packed.read(INPUT_BYTES)
            self._num_packed += len(given)
        return given

    def _following(self, rest: bytes) -> Decoder | None:
        """The decoder of the next member; None at the end."""
        self._rest = rest
        while len(self._rest.lstrip(b"\0")) < HEAD_BYTES:
            rest, self._rest = self._rest.lstrip(b"\0"), b""
            more = self._input()
            self._rest = rest + more
            if not more:
                break
        self._rest = self._rest.lstrip(b"\0")
        if self._packing.begins(self._rest):
            return self._packing.decoder()
        self.behind = self._rest
        return None


@contextmanager
def open_raw(file: SourceFile) -> Iterator[BinaryIO]:
    """The file's bytes as they stand, those that its checksum was taken of."""
    with ExitStack() as stack:
        if isinstance(file.path, Path):
            raw = stack.enter_context(file.path.open("rb", buffering=0))
        elif isinstance(file.path, str):
            raw = stack.enter_context(open_address(file.path))
        else:
            raw = stack.enter_context(file.path.open())
        if file.blake3 and ":" not in file.blake3:
            raw = _AsHashed(raw, file)
        yield io.BufferedReader(raw, BUFFER_BYTES)  # pyright: ignore[reportArgumentType]


@contextmanager
def open_unpacked(file: SourceFile, quarantine: Quarantine | None = None) -> Iterator[BinaryIO]:
    """The file's bytes, decompressed when its name ends in .gz, .zst, .bz2 or .xz.

    Reading raises PackingBroken and UnpacksTooLarge. What stands behind packed data is left out,
    and flagged in ``quarantine``.
    """
    packing = PACKED.get(file.suffixes[1])
    with open_raw(file) as raw:
        if packing is None:
            yield raw
            return
        unpacked = _Unpacked(raw, packing)
        yield io.BufferedReader(unpacked, BUFFER_BYTES)
        if unpacked.behind and quarantine is not None:
            quarantine.flag(file.name, unpacked.num_bytes, BEHIND, ascii(unpacked.behind))


def refuse_bomb(file: SourceFile) -> None:
    """Unpack the whole file for nothing. Raises UnpacksTooLarge, which otherwise would come when
    the beginning is a document already. What is in an archive is read only once."""
    if not isinstance(file.path, Path | str):
        return
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
