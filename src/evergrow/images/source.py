"""One source from its files to pictures of one size, with pseudonyms and without repeats."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.disk import checksum
from evergrow.errors import InputError
from evergrow.images.config import ImageSourceConfig
from evergrow.images.dicom import read_dicom
from evergrow.images.manifest import (
    Known,
    Place,
    manifest_path,
    place_in,
    read_manifest,
    refuse_unread,
    with_known,
)
from evergrow.images.npz import SPLITS
from evergrow.images.picture import Picture
from evergrow.images.pseudonyms import IDENTIFYING, Pseudonyms, identifying, secret_of
from evergrow.images.readers import reader_of
from evergrow.images.shape import reshaped
from evergrow.images.unreadable import Unreadable, refuse_too_many


@dataclass
class ImageReading:
    """What came in and what did not while one source was read; filled by ``source_pictures``.

    ``unreadable`` names the files as they are, for the screen; ``quarantine`` is the same for
    what is written, with pseudonyms.
    """

    files: list[dict[str, object]] = field(default_factory=list)
    unreadable: list[Unreadable] = field(default_factory=list)
    quarantine: list[dict[str, object]] = field(default_factory=list)
    num_dropped: int = 0


def source_pictures(
    config: ImageSourceConfig,
    base: Path,
    source: str,
    reading: ImageReading,
    earlier: Mapping[str, str | None] | None = None,
) -> list[Picture]:
    """The pictures of a source as [C, H, W], the files in the order of their names.

    Identifying values are replaced by pseudonyms. With ``duplicates: drop`` a picture goes whose
    content hash an ``earlier`` source (content hash -> label) or an earlier file has, unless their
    labels contradict each other: that is for the audit to refuse. Raises InputError for globs that
    match nothing, for more unreadable pictures than ``max_bad``, for pictures of several sizes or
    bit depths, for labels outside the set, for a split of another name and for a label of ``only``
    that no picture has.
    """
    files = _Files(config, base, source)
    pictures = digits(source) if config.pictures else files.read(reading)
    known, seen = earlier or {}, {}
    kept: list[Picture] = []
    num_read = 0
    for picture in pictures:
        num_read += 1
        _refuse_label(picture, config, source)
        if config.only and picture.label not in config.only:
            continue
        shaped = reshaped(picture, config.size, config.channels)
        if kept:
            _refuse_other_form(shaped, kept[0], source)
        digest = shaped.content_hash
        if config.duplicates == "drop" and _is_repeat(digest, shaped.label, seen, known):
            reading.num_dropped += 1
            seen.setdefault(digest, shaped.label)
            continue
        seen.setdefault(digest, shaped.label)
        kept.append(files.hidden(shaped))
    refuse_too_many(reading.unreadable, num_read, config.max_bad, source)
    if not kept:
        raise InputError(f"sources.{source}: no picture is left; check images and only")
    if missing := set(config.only or []) - {p.label for p in kept}:
        raise InputError(
            f"sources.{source}: no picture has the label {min(missing)!r}; remove it from only"
        )
    files.hide_records(reading)
    return [files.hidden_everywhere(picture) for picture in kept]


def _is_repeat(
    digest: str,
    label: str | None,
    seen: Mapping[str, str | None],
    earlier: Mapping[str, str | None],
) -> bool:
    """Whether the pixels were there before, in this source or an earlier one, and labels agree."""
    if digest in seen:
        return seen[digest] == label
    return digest in earlier and (label is None or earlier[digest] in (None, label))


class _Files:
    """The files of a source: found, read, and named so that nobody is."""

    def __init__(self, config: ImageSourceConfig, base: Path, source: str) -> None:
        self._config, self._base, self._source = config, base, source
        self._known: Known = {}
        self._names = Pseudonyms(b"")
        self._shown: dict[str, str] = {}  # files under pseudonyms, as far as they are known
        self._opaque: set[str] = set()  # files whose whole path is a pseudonym

    def read(self, reading: ImageReading) -> Iterator[Picture]:
        """Every picture under its own name; what is no picture goes to ``reading``."""
        config, source = self._config, self._source
        self._known, manifest = read_manifest(config, self._base, source)
        paths = _without(match_images(config.images, self._base, source), manifest)
        described = [*paths, *([manifest] if manifest else [])]
        sums = {path: checksum(path) for path in described}
        self._names = Pseudonyms(secret_of(sorted(described, key=lambda path: sums[path])))
        read: set[Place] = set()
        for path in described:
            name = _name(path, self._base)
            size = path.stat().st_size
            reading.files.append({"path": name, "bytes": size, "blake3": sums[path]})
            if path == manifest:
                continue
            reader = reader_of(path)
            if reader is read_dicom:  # nothing tells that its name is safe
                self._opaque.add(name)
                self._shown[name] = self._names.of_file(name)
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
        if picture.label and self._names.spells(picture.label, picture, by_folder):
            raise InputError(
                f"sources.{self._source}: {picture.key} has the label {picture.label!r}, which "
                "holds a patient, a number, a day or a site of its own header; labels are written "
                "out, so give it another one, in a manifest"
            )

    def _told(self, found: Unreadable, path: Path) -> Unreadable:
        """With what the manifest says of the file; its name is hidden, or given up."""
        if found.names is None:
            self._shown[found.path] = self._names.of_file(found.path)
            return found
        said = self._known.get((path.resolve(), ""), {})
        names = (*found.names, *(said[key] for key in IDENTIFYING if key in said))
        self._hide_file(found.path, names)
        return found._replace(names=names)

    def _hide_file(self, name: str, values: Collection[str]) -> None:
        hidden = self._names.hide_in(self._shown.get(name, name), values)
        if name not in self._opaque:
            self._shown[name] = hidden

    def hidden(self, picture: Picture) -> Picture:
        """The picture under pseudonyms; of a DICOM file the whole path is one."""
        hidden = self._names.hide(picture)
        if picture.path not in self._opaque:
            return hidden
        return replace(hidden, path=self._shown[picture.path], key=self._shown[picture.path])

    def hidden_everywhere(self, picture: Picture) -> Picture:
        """Once all are read: the picture without the names of others in its file's name."""
        path, key = (self._names.hide_known(text) for text in (picture.path, picture.key))
        return replace(picture, path=path, key=key)

    def hide_records(self, reading: ImageReading) -> None:
        """Once all are read: pseudonyms for the files, and the quarantine."""
        names = self._names

        def shown(path: object) -> str:
            return names.hide_known(self._shown.get(str(path), str(path)))

        reading.files = [{**file, "path": shown(file["path"])} for file in reading.files]
        reading.quarantine = [
            {
                "path": shown(u.path),
                "row": u.row,
                "reason": names.hide_known(names.hide_in(u.reason, u.names or ())),
                "way_out": u.way_out,
            }
            for u in reading.unreadable
        ]


def _refuse_other_form(picture: Picture, first: Picture, source: str) -> None:
    """Raise InputError when a picture has another size or depth than the first."""
    own, form = picture.pixels, first.pixels
    if own.shape != form.shape:
        raise InputError(
            f"sources.{source}: {picture.key} is {own.shape[1]} x {own.shape[2]} pixels, others "
            f"{form.shape[1]} x {form.shape[2]}; set size to bring them to one"
        )
    if own.dtype != form.dtype:
        raise InputError(
            f"sources.{source}: {picture.key} has {8 * own.itemsize} bits a pixel, others "
            f"{8 * form.itemsize}; make two sources of them, or store them alike"
        )


def _refuse_label(picture: Picture, config: ImageSourceConfig, source: str) -> None:
    if config.labels is not None and picture.label not in config.labels:
        raise InputError(
            f"sources.{source}: {picture.key} has the label {picture.label!r}, which is not among "
            f"labels {config.labels}; correct it or add it"
        )
    if picture.split is not None and picture.split not in SPLITS:
        raise InputError(
            f"sources.{source}: {picture.key} has the split {picture.split!r}; "
            f"write {', '.join(SPLITS)}"
        )


def digits(source: str) -> Iterator[Picture]:
    """The 1,797 handwritten digits of 8 x 8 pixels that scikit-learn carries (UCI)."""
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError as error:
        raise InputError(
            f"sources.{source}: the digits come with scikit-learn; install evergrow[vision]"
        ) from error
    data: Any = load_digits()
    for row, (pixels, label) in enumerate(zip(data.images, data.target, strict=True)):
        grey = np.rint(pixels * 255 / 16).astype(np.uint8)
        yield Picture(grey, source, "digits", f"digits#{row}", label=str(label))


def _name(path: Path, base: Path) -> str:
    return (path.relative_to(base) if path.is_relative_to(base) else path).as_posix()


def file_sums(config: ImageSourceConfig, base: Path, source: str) -> list[str]:
    """The checksums of a source's files and manifest, sorted; none when all files are gone.

    Raises InputError when some of its globs match nothing and others do.
    """
    if config.pictures or not any(_matches(pattern, base) for pattern in config.images):
        return []
    manifest = None if config.manifest is None else manifest_path(config.manifest, base, source)
    paths = _without(match_images(config.images, base, source), manifest)
    return sorted(checksum(path) for path in [*paths, *([manifest] if manifest else [])])


def _without(paths: list[Path], manifest: Path | None) -> list[Path]:
    """The files less the manifest, however a glob spells it."""
    own = manifest and manifest.resolve()
    return [path for path in paths if path.resolve() != own]


def match_images(patterns: list[str], base: Path, source: str) -> list[Path]:
    """The files that the globs match, sorted, each once; raises InputError for one without any."""
    found: set[Path] = set()
    for pattern in patterns:
        files = _matches(pattern, base)
        if not files:
            raise InputError(f"sources.{source}.images: {pattern!r} matches no file under {base}")
        found.update(files)
    return sorted(found)


def _matches(pattern: str, base: Path) -> list[Path]:
    """The files that a glob matches; a name with brackets is also taken as it is."""
    whole = base / Path(pattern).expanduser()
    parts = whole.parts
    wild = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), None)
    if wild is None or whole.is_file():
        return [whole] if whole.is_file() else []
    return [p for p in Path(*parts[:wild]).glob("/".join(parts[wild:])) if p.is_file()]
