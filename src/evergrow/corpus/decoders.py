"""Unpacking one member of packed data at a time; all in the shape that bz2 and lzma give it."""

import bz2
import lzma
import sys
import zlib
from collections.abc import Callable
from typing import NamedTuple, Protocol, final

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)
LONGEST_WINDOW = 31  # `zstd --long=31` goes no further; memory is only taken as it is filled


class Decoder(Protocol):
    """Of one member: gzip and bz2 files, xz and zstd ones may consist of several."""

    @property
    def eof(self) -> bool: ...

    @property
    def needs_input(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class Packing(NamedTuple):
    """How members begin (by their first bytes), and what unpacks them."""

    begins: Callable[[bytes], bool]
    decoder: Callable[[], Decoder]


@final
class Inflate:
    """zlib's decompressor of one stream; ``window_bits`` is 31 for gzip, 15 for zlib, -15 for none
    of their headers."""

    def __init__(self, window_bits: int = 31) -> None:
        self._inner = zlib.decompressobj(window_bits)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        """At most so many bytes; what was given before and not used comes before ``data``."""
        found = self._inner.decompress(self._inner.unconsumed_tail + data, max_length)
        self.needs_input = not self._inner.unconsumed_tail and len(found) < max_length
        return found


def _zstd() -> Decoder:
    options = {int(zstd.DecompressionParameter.window_log_max): LONGEST_WINDOW}
    return zstd.ZstdDecompressor(options=options)


def _begins_zstd(head: bytes) -> bool:
    """A frame, or one to be skipped."""
    is_skipped = head[1:4] == b"\x2a\x4d\x18" and head[:1] != b"" and head[0] >> 4 == 5
    return head[:4] == b"\x28\xb5\x2f\xfd" or is_skipped


PACKED: dict[str, Packing] = {
    ".gz": Packing(lambda head: head[:2] == b"\x1f\x8b", Inflate),
    ".zst": Packing(_begins_zstd, _zstd),
    ".bz2": Packing(lambda head: head[:3] == b"BZh", bz2.BZ2Decompressor),
    ".xz": Packing(lambda head: head[:6] == b"\xfd7zXZ\x00", lzma.LZMADecompressor),
}
