"""The files of a source: found, read, and named so that nobody is."""

from collections.abc import Collection, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol, final

from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.dicom import read_dicom
from evergrow.images.files import described_files, name_of
from evergrow.images.manifest import (
    Known,
    Line,
    Place,
    place_in,
    read_manifest,
    refuse_unread,
    with_known,
)
from evergrow.images.picture import IDENTIFYING, Picture
from evergrow.images.pseudonyms import Pseudonyms, identifying, secret_of
from evergrow.images.readers import reader_of
from evergrow.images.records import LeftOut, ReadFile
from evergrow.images.unreadable import Unreadable


class Records(Protocol):
    """What is told of the files that were read."""

    files: list[ReadFile]
    unreadable: list[Unreadable]
    quarantine: list[LeftOut]


@final
class NamedFiles:
    """The files of one source; ``names`` are made when they are found."""

    def __init__(self, config: ImageSourceConfig, base: Path, source: str) -> None:
        self._config, self._base, self._source = config, base, source
        self._known: Known = {}
        self._shown: dict[str, str] = {}  # files under pseudonyms, as far as they are known
        self._opaque: set[str] = set()  # files whose whole path is a pseudonym
        self._numbers: dict[str, int] = {}  # by name, for who looks for a file that is hidden
        self._manifest: Path | None = None
        described: list[Path] = []
        if config.images:
            self._known, _ = read_manifest(config, base, source)
            paths, self._manifest = described_files(config, base, source)
            described = [*paths, *([self._manifest] if self._manifest else [])]
        self._sums = {path: checksum(path) for path in described}
        self.names = Pseudonyms(secret_of(sorted(described, key=lambda path: self._sums[path])))

    def read(self, reading: Records) -> Iterator[Picture]:
        """Every picture under its own name; what is no picture goes to ``reading``."""
        config, source = self._config, self._source
        read: set[Place] = set()
        for number, (path, digest) in enumerate(self._sums.items(), 1):
            name = name_of(path, self._base)
            self._numbers[name] = number
            size = path.stat().st_size
            reading.files.append(ReadFile(path=name, bytes=size, blake3=digest))
            if path == self._manifest:
                continue
            reader = reader_of(path)
            if reader is read_dicom:  # nothing tells that its name is safe
                self._opaque.add(name)
                self._shown[name] = self.names.of_file(name)
            for found in reader(path, name, source, config):
                if isinstance(found, Unreadable):
                    reading.unreadable.append(self._told(found, path))
                    read |= {(path.resolve(), row) for row in ("", str(found.row))}
                else:
                    read.add(place_in(path, found))
                    picture = with_known(found, path, self._known, config, source)
                    self._hide_file(name, identifying(picture))
                    self._refuse_name(picture)
                    yield picture
        refuse_unread(self._known, read, str(config.manifest), source)

    def _refuse_name(self, picture: Picture) -> None:
        """Raise InputError for a label that says whose the picture is: labels are written out."""
        by_folder = self._config.label_from == "folder"
        if picture.label and self.names.spells(picture.label, picture, by_folder):
            raise InputError(
                f"sources.{self._source}: {self.hidden(picture).shown} has a label, which "
                "holds a patient, a number, a day or a site of its own header; labels are written "
                "out, so give it another one, in a manifest"
            )

    def _told(self, found: Unreadable, path: Path) -> Unreadable:
        """With what the manifest says of the file; its name is hidden, or given up."""
        if found.names is None:
            self._shown[found.path] = self.names.of_file(found.path)
            return found
        said = self._known.get((path.resolve(), ""), Line()).columns
        names = (*found.names, *(said[key] for key in IDENTIFYING if key in said))
        self._hide_file(found.path, names)
        return found._replace(names=names)

    def _hide_file(self, name: str, values: Collection[str]) -> None:
        hidden = self.names.hide_in(self._shown.get(name, name), values)
        if name not in self._opaque:
            self._shown[name] = hidden

    def hidden(self, picture: Picture) -> Picture:
        """The picture under pseudonyms; of a DICOM file the whole path is one."""
        hidden = self.names.hide(picture)
        hidden = replace(hidden, plain=self._findable(hidden.plain, picture.key, picture.path))
        if picture.path not in self._opaque:
            return hidden
        return replace(hidden, path=self._shown[picture.path], key=self._shown[picture.path])

    def _findable(self, hidden: str, key: str, name: str) -> str:
        """A key for the screen: where something is hidden with the number of its file."""
        return hidden if hidden == key else f"{hidden} (file {self._numbers[name]} by name)"

    def hidden_everywhere(self, picture: Picture) -> Picture:
        """Once all are read: the picture without the names of others in its file's name."""
        texts = (picture.path, picture.key, picture.plain)
        path, key, plain = (self.names.hide_known(text) for text in texts)
        return replace(picture, path=path, key=key, plain=plain)

    def hide_records(self, reading: Records) -> None:
        """Once all are read: pseudonyms for the files, and the quarantine."""
        names = self.names

        def shown(path: str) -> str:
            return names.hide_known(self._shown.get(path, path))

        reading.files = [f.model_copy(update={"path": shown(f.path)}) for f in reading.files]
        for place, found in enumerate(reading.unreadable):
            path, reason = (
                names.hide_known(names.hide_in(text, found.names or ()))
                for text in (found.path, found.reason)
            )
            known = {"row": found.row, "reason": reason, "way_out": found.way_out}
            reading.quarantine.append(LeftOut(path=shown(found.path), **known))
            path = shown(found.path) if found.names is None else path
            path = self._findable(path, found.path, found.path)
            reading.unreadable[place] = found._replace(path=path, reason=reason)
