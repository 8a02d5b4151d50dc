"""Sources of pictures to data folders, once: read, audited, split by patient, stored as pixels."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from evergrow.corpus.config import HeldOutConfig
from evergrow.disk import new_folder, write_file
from evergrow.errors import InputError
from evergrow.flow.prepare import WAYS_OUT, Prepared, data_key, finished_folder, remove_left_overs
from evergrow.images.audit import Entry, audit, difference_hash, entry, refuse
from evergrow.images.config import ImageSourceConfig
from evergrow.images.held_out import choose_held_out
from evergrow.images.picture import Picture
from evergrow.images.source import ImageReading, file_sums, source_pictures
from evergrow.stream.pictures import PictureSource, write_pictures

NO_TOKENIZER = "pictures"  # stands where the keys of text hold the tokenizer's hash
VERSION = 3  # raise by hand when the same files and settings would give other bytes
DIGITS = 2  # the same for the digits, whose bytes stay when only files are read otherwise
SAID = 5  # unreadable pictures named on the screen


class Read(NamedTuple):
    """A source read whole: its pictures by part, what came of the files, and the audit's view."""

    parts: Mapping[str, list[Picture]]
    reading: ImageReading
    entries: list[Entry]


def prepare_pictures(
    folder: Path,
    sources: Mapping[str, ImageSourceConfig],
    held_out: HeldOutConfig,
    base: Path,
    on_progress: Callable[[str], None],
    only_measured: Collection[str] = (),
) -> Prepared:
    """Make ``folder``/data/<source>-<hash12> for every source, in order, and data/audit.json.

    Finished folders stay: of their files only the checksums are looked at, and when all are gone
    the finished pictures are used. A source's pictures are held in memory while it is prepared.
    Raises InputError for all that reading, splitting and the audit refuse, for changed files or
    settings, and for a picture on both sides of the split of two sources.
    """
    data = folder / "data"
    remove_left_overs(data)
    paths: dict[str, Path] = {}
    entries: list[Entry] = []
    keys: list[str] = []
    for name, config in sources.items():
        settings = _settings(config, held_out, name in only_measured)
        finished = finished_folder(data, name)
        if finished is not None:
            _refuse_changes(name, config, settings, base, finished, keys, on_progress)
            paths[name] = finished
            entries += stored_entries(finished)
        else:
            earlier = {e.content_hash for e in entries}
            read = read_source(name, config, held_out, base, name in only_measured, earlier)
            _say_unreadable(name, read.reading, on_progress)
            entries += read.entries
            _refuse_across(entries, name)
            paths[name] = _stored(data, name, settings, read, keys, on_progress)
        keys.append(PictureSource.open(paths[name]).manifest["key"])
    found = audit(entries)
    write_file(data / "audit.json", json.dumps({"format": 1, **found}, indent=1) + "\n")
    manifests = {name: PictureSource.open(path).manifest for name, path in paths.items()}
    return Prepared(None, paths, manifests)


def read_source(
    name: str,
    config: ImageSourceConfig,
    held_out: HeldOutConfig,
    base: Path,
    everything: bool = False,
    earlier: Collection[str] = (),
) -> Read:
    """Read one source and split it; raises InputError when its own audit refuses it."""
    reading = ImageReading()
    pictures = source_pictures(config, base, name, reading, earlier)
    out = [True] * len(pictures) if everything else None
    out = out or choose_held_out(pictures, held_out.fraction, name)
    parts: dict[str, list[Picture]] = {"train": [], "held_out": []}
    entries = []
    for picture, is_out in zip(pictures, out, strict=True):
        part = "held_out" if is_out else "train"
        parts[part].append(picture)
        entries.append(entry(picture, part))
    refuse(entries, name)
    if not everything and not parts["train"]:
        raise InputError(f"sources.{name}: nothing is left to train on; look at its splits")
    return Read(parts, reading, entries)


def stored_entries(folder: Path) -> list[Entry]:
    """The audit's view of a finished folder's pictures."""
    source = PictureSource.open(folder)
    name = source.manifest["source"]
    found = []
    for part, rows in source.rows.items():
        columns = ("key", "content_hash", "patient", "label", "burned_in")
        for row, values in enumerate(zip(*(rows[c] for c in columns), strict=True)):
            key, digest, patient, label, burned_in = values
            looks = difference_hash(source.pixels[part][row])
            found.append(Entry(key, name, part, digest, looks, patient, label, burned_in))
    return found


def _say_unreadable(source: str, reading: ImageReading, on_progress: Callable[[str], None]) -> None:
    """Name what was left out on the screen, where a file's own name may stand."""
    for found in reading.unreadable[:SAID]:
        on_progress(f"{source}: left out {found.path}: {found.reason}; {found.way_out}")
    if (more := len(reading.unreadable) - SAID) > 0:
        on_progress(f"{source}: left out {more:,} more, in the quarantine of its manifest.json")


def _refuse_across(entries: list[Entry], source: str) -> None:
    """Raise InputError for a picture of ``source`` on the other side of an earlier one.

    Patients' pseudonyms agree only within one set of files, so across sources pictures decide.
    """
    sides: dict[str, Entry] = {}
    for known in entries:
        other = sides.setdefault(known.content_hash, known)
        if other.part != known.part:
            raise InputError(
                f"sources.{source}: {known.shown} is {_side(known)}, the same pixels are "
                f"{_side(other)} as {other.shown} of {other.source}; remove one of the two, or set "
                "duplicates: drop"
            )


def _side(entry: Entry) -> str:
    return "trained on" if entry.part == "train" else "held out"


def _settings(
    config: ImageSourceConfig, held_out: HeldOutConfig, everything: bool
) -> dict[str, Any]:
    share = 1.0 if everything else held_out.fraction
    version = DIGITS if config.pictures else VERSION
    return config.content_settings | {"held_out": share, "version": version}


def _refuse_changes(
    name: str,
    config: ImageSourceConfig,
    settings: dict[str, Any],
    base: Path,
    finished: Path,
    earlier: list[str],
    on_progress: Callable[[str], None],
) -> None:
    """Raise InputError when files, settings or sources before it are not those it was made of."""
    made = PictureSource.open(finished).manifest
    recorded = made["created_from"]["files"]
    now = file_sums(config, base, name)
    if not now and recorded:
        on_progress(f"{name}: its files are gone; its finished pictures are used")
    elif now != sorted(file["blake3"] for file in recorded) or made["settings"] != settings:
        raise InputError(
            f"sources.{name}: its files or settings changed since {finished.name} was made; "
            f"restore them, {WAYS_OUT}"
        )
    if made["key"] != data_key(made["settings"], recorded, earlier, NO_TOKENIZER):
        raise InputError(
            f"sources.{name}: its finished pictures were made after other sources or by another "
            f"version of evergrow; add new sources after the old ones, {WAYS_OUT}"
        )


def _stored(
    data: Path,
    name: str,
    settings: dict[str, Any],
    read: Read,
    earlier: list[str],
    on_progress: Callable[[str], None],
) -> Path:
    """Write the source's data folder."""
    key = data_key(settings, read.reading.files, earlier, NO_TOKENIZER)
    target = data / f"{name}-{key[:12]}"
    on_progress(f"{name}: storing {sum(map(len, read.parts.values())):,} pictures")
    manifest = {
        "format": 1,
        "source": name,
        "key": key,
        "settings": settings,
        "created_from": {"files": read.reading.files},
        "tokenizer": NO_TOKENIZER,
        "num_dropped": read.reading.num_dropped,
        "quarantine": read.reading.quarantine,
        "audit": audit(read.entries),
    }
    with new_folder(target) as unfinished:
        write_pictures(unfinished, read.parts, manifest)
    return target


def labels_of(sources: Iterable[PictureSource]) -> list[str]:
    """All labels of training and held-out pictures, numbers in their order, then the alphabet."""
    found = {str(x) for s in sources for part in s.labels.values() for x in part if x is not None}
    return sorted(found, key=lambda label: (not label.isdecimal(), label.zfill(12)))
