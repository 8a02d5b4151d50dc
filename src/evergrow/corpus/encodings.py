"""Text as UTF-8, whatever it was written in; and what is no text, by its first bytes."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, final

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.files import Fault, SourceFile
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import BUFFER_BYTES, open_unpacked

NOT_UTF8 = Fault(
    "bytes that are not UTF-8",
    "save the file as UTF-8 (iconv -f latin1 -t utf-8) or leave it out of `files`",
)
HEAD_BYTES = 8000  # of a file, looked at
GUESSED_BYTES = 2**16
MIN_GUESSED_BYTES = 64  # judgement: fewer fit any encoding
MAX_NULS = 0.01  # of bytes; judgement: a text with a stray one stays a text
MAX_CONTROLS = 0.03  # of bytes; noise has 10 %, compressed data too, text none in any encoding
MIN_NULS_UTF16 = 0.3  # of every second byte: where at least so many characters are Latin
_CONTROLS = bytes(set(range(32)) - set(b"\b\t\n\f\r\x0e\x0f\x1b")) + b"\x7f"
_SHIFTS = {b"\x1b$B": "iso2022_jp", b"\x1b$@": "iso2022_jp", b"\x1b$)C": "iso2022_kr"}
KOREAN = "cp949"  # reads all that is EUC-KR
MIN_HANGUL = 0.8  # of letters beyond ASCII; Korean prose has .95 and more, Chinese read so half
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
LFS_POINTERS = "Git LFS pointers"
MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
BEGINNINGS = {
    LFS_POINTER: LFS_POINTERS,
    b"SQLite format 3\0": "SQLite databases",
    b"\0asm": "WebAssembly modules",
    b"\x7fELF": "programs",
    b"MZ\x90\0": "programs",
    b"\xca\xfe\xba\xbe": "programs",
    b"%PDF-": "PDF documents",
    b"{\\rtf": "RTF documents",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "Office documents",
    b"PK\x03\x04": "zip archives",
    b"7z\xbc\xaf\x27\x1c": "7z archives",
    b"Rar!\x1a\x07": "rar archives",
    b"\x1f\x8b\x08": "packed data without .gz in its name",
    b"\x28\xb5\x2f\xfd": "packed data without .zst in its name",
    b"BZh91AY&SY": "packed data without .bz2 in its name",
    b"\xfd7zXZ\0": "packed data without .xz in its name",
    b"PAR1": "Parquet files without .parquet in their names",
    b"ARROW1\0\0": "Arrow files without .arrow in their names",
    b"\x89PNG\r\n\x1a\n": "pictures",
    b"\xff\xd8\xff": "pictures",
    b"GIF8": "pictures",
    b"RIFF": "pictures and sound",
    b"OggS": "pictures and sound",
    b"ID3": "pictures and sound",
}
TAR_PLACE, TAR = 257, b"ustar"


class NotText(Exception):
    """A file that holds something else; ``kind`` says what, in the plural."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class OtherEncoding(Exception):
    """A file of text that is not UTF-8, which its first bytes say."""

    def __init__(self, encoding: str) -> None:
        super().__init__(encoding)
        self.fault = _in(encoding, f"text in {encoding.upper()}")


@contextmanager
def open_text(
    file: SourceFile, config: SourceConfig, quarantine: Quarantine, of_rows: bool = True
) -> Iterator[BinaryIO]:
    """The file's text as UTF-8, unpacked; read in the ``encoding`` that the source names.

    Where one row after another is judged, only the first decides what the file is.

    What is undecodable in it becomes ``\\xff``, which no UTF-8 holds. Raises NotText, and
    OtherEncoding when the source names none.
    """
    with open_unpacked(file, quarantine) as stream:
        if config.encoding is not None:
            yield io.BufferedReader(_Recoded(stream, config.encoding), BUFFER_BYTES)
            return
        head = peeked(stream)
        if encoding := told_encoding(head):
            raise OtherEncoding(encoding)
        refuse_others(head, head[: head.find(b"\n")] if of_rows else head)
        yield stream


def peeked(stream: BinaryIO) -> bytes:
    """The first bytes of a stream, some of the 8,000 at most, which are still to be read."""
    assert isinstance(stream, io.BufferedReader)
    return stream.peek(HEAD_BYTES)[:HEAD_BYTES]


def refuse_others(head: bytes, part: bytes) -> None:
    """Raise NotText where ``head`` begins like something else, or a part of it holds what no text
    does."""
    for beginning, kind in BEGINNINGS.items():
        if head.startswith(beginning):
            raise NotText(kind)
    if head[TAR_PLACE:].startswith(TAR):
        raise NotText("tar archives")
    if head and not head.strip(b"\0"):
        raise NotText("files of zeros")
    num_controls = len(part) - len(part.translate(None, _CONTROLS))
    is_dense = part.count(0) > MAX_NULS * len(part) or num_controls > MAX_CONTROLS * len(part)
    if is_dense or (0 in part and not _begins_utf8(part)):
        raise NotText("binary files")


def _begins_utf8(part: bytes) -> bool:
    """Whether bytes are UTF-8, but for a character that the end cuts."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(part)
    except UnicodeDecodeError:
        return False
    return True


def refuse_pointer(head: bytes) -> None:
    """Raise NotText for what Git LFS leaves in the place of a file that was not fetched."""
    if head.startswith(LFS_POINTER):
        raise NotText(LFS_POINTERS)


def told_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32 by their mark, UTF-16 also by the zeros in every second byte; and ISO 2022,
    which shifts between alphabets of seven bits."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding
    for shift, encoding in _SHIFTS.items():
        if shift in head:
            return encoding
    for first, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = head[first::2].count(0), head[1 - first :: 2].count(0)
        if others == 0 and zeros > MIN_NULS_UTF16 * len(head) / 2:
            return encoding
    return None


def undecodable(data: bytes, config: SourceConfig) -> Fault:
    """Why text cannot be read, naming the encoding that it is probably in."""
    if config.encoding is not None:
        way_out = "correct `encoding`, or leave the file out of `files`"
        return Fault(f"bytes that are not {config.encoding}", way_out)
    encoding = _guessed(data[:GUESSED_BYTES])
    if encoding is None:
        return NOT_UTF8
    return _in(encoding, f"{NOT_UTF8.reason} but probably {encoding}")


def _in(encoding: str, reason: str) -> Fault:
    way_out = f"give a source of such files `encoding: {encoding}`, or save them as UTF-8"
    return Fault(reason, way_out)


def _guessed(data: bytes) -> str | None:
    """Korean by its letters, others by resiliparse, where it is installed: to it Korean is UTF-8.

    Never wrong by more than an error message.
    """
    if len(data) < MIN_GUESSED_BYTES:
        return None
    if _is_korean(data):
        return KOREAN
    try:
        from resiliparse.parse.encoding import detect_encoding  # pyright: ignore
    except ImportError:
        return None
    encoding = detect_encoding(data)
    if encoding is None or codecs.lookup(encoding).name in ("utf-8", "ascii"):
        return None
    return encoding


def _is_korean(data: bytes) -> bool:
    """Whether bytes are EUC-KR, or Windows' larger form of it: most letters are Hangul syllables.

    Chinese and Japanese read so are half Hangul, half Hanja; of damaged UTF-8 few letters are
    either.
    """
    try:
        text = codecs.getincrementaldecoder(KOREAN)().decode(data)
    except UnicodeDecodeError:
        return False
    letters = [letter for letter in text if letter.isalpha()]
    others = sum(not letter.isascii() for letter in letters)
    syllables = sum("\uac00" <= letter <= "\ud7a3" for letter in letters)
    return syllables > max(MIN_HANGUL * others, len(letters) / 2)


@final
class _Recoded(io.RawIOBase):
    """The UTF-8 of a text in another encoding."""

    def __init__(self, stream: BinaryIO, encoding: str) -> None:
        self._stream = stream
        self._decoder = codecs.getincrementaldecoder(encoding)(_UNDECODABLE)
        self._ready = b""
        self._is_done = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        while not self._ready and not self._is_done:
            data = self._stream.read(BUFFER_BYTES)
            self._is_done = not data
            text = self._decoder.decode(data, final=self._is_done)
            self._ready = text.encode("utf-8", "surrogateescape")
        data, self._ready = self._ready[: len(buffer)], self._ready[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


_UNDECODABLE = "evergrow.undecodable"


def _as_half(error: UnicodeError) -> tuple[str, int]:
    """A half of a surrogate pair, which is written as the byte ``\\xff``."""
    assert isinstance(error, UnicodeDecodeError)
    return "\udcff", error.end


codecs.register_error(_UNDECODABLE, _as_half)
