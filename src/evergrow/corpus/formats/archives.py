"""Zip and tar: every file in them, to be read by its own name; nothing is written to disk."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, final

from evergrow.corpus.addresses import open_address
from evergrow.corpus.files import SourceFile
from evergrow.corpus.globs import HIDDEN
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import (
    FREE_BYTES,
    MAX_RATIO,
    PackingBroken,
    UnpacksTooLarge,
    open_unpacked,
    refuse_changed,
)

NO_FILES = "links and devices in archives"
ERRORS = (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError)
LOCKED = ("files in archives that ask for a password", "unpack the archive yourself")


@final
class _Guarded(io.RawIOBase):
    """The bytes of a member, with damage told as everywhere."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._num_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        try:
            data = self._stream.read(len(buffer))
        except ERRORS as error:
            raise PackingBroken(self._num_bytes) from error
        buffer[: len(data)] = data
        self._num_bytes += len(data)
        return len(data)


@final
@dataclass(frozen=True)
class _Member:
    """A file in an archive; ``name`` is the archive's and its own."""

    name: str
    opener: Callable[[], IO[bytes] | None]

    def open(self) -> BinaryIO:
        try:
            stream = self.opener()
        except ERRORS as error:
            raise PackingBroken(0) from error
        assert stream is not None  # only of links and folders
        return io.BufferedReader(_Guarded(stream))

    def __str__(self) -> str:
        return self.name


def tar_members(file: SourceFile, quarantine: Quarantine) -> Iterator[SourceFile]:
    """The files in a tar archive, each to be read before the next; packed or not."""
    with open_unpacked(file, quarantine) as stream:
        try:
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                for info in tar:
                    if info.isfile():
                        opener = _opener_in_tar(tar, info)
                        yield from _member(file, info.name, info.size, opener, quarantine)
                    elif not info.isdir():
                        quarantine.skipped[NO_FILES] += 1
        except ERRORS as error:
            raise PackingBroken(0) from error


def _opener_in_tar(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Callable[[], IO[bytes] | None]:
    return lambda: tar.extractfile(info)


def zip_members(file: SourceFile, quarantine: Quarantine) -> Iterator[SourceFile]:
    """The files in a zip archive.

    Raises UnpacksTooLarge when its own list says that it unpacks to too much.
    """
    with ExitStack() as stack:
        if isinstance(file.path, Path):
            raw = stack.enter_context(file.path.open("rb"))
        else:
            raw = stack.enter_context(open_address(str(file.path)))
        try:
            archive = stack.enter_context(zipfile.ZipFile(raw))
        except ERRORS as error:
            raise PackingBroken(0) from error
        listed = [info for info in archive.infolist() if not info.is_dir()]
        size = sum(info.file_size for info in listed)
        if size > max(FREE_BYTES, MAX_RATIO * file.num_bytes):
            raise UnpacksTooLarge(size)
        for info in listed:
            if info.flag_bits & 1:
                quarantine.add(f"{file.name}/{info.filename}", 0, *LOCKED)
                continue
            opener = _opener_in_zip(archive, info)
            yield from _member(file, info.filename, info.file_size, opener, quarantine)
        refuse_changed(file)


def _opener_in_zip(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(info)


def _member(
    file: SourceFile,
    name: str,
    num_bytes: int,
    opener: Callable[[], IO[bytes] | None],
    quarantine: Quarantine,
) -> Iterator[SourceFile]:
    """One file of an archive; none, counted, for a hidden one."""
    readable = name.encode("utf-8", "backslashreplace").decode()
    parts = [part for part in PurePosixPath(readable).parts if part not in ("/", ".", "..")]
    if any(part.startswith(".") for part in parts):
        quarantine.skipped[HIDDEN] += 1
        return
    whole = f"{file.name}/{'/'.join(parts)}"
    yield SourceFile(_Member(whole, opener), whole, num_bytes, "")


MEMBERS = {".zip": zip_members, ".tar": tar_members}
