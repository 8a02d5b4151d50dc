"""Sources of pictures to data folders, once: read, audited, split by patient, stored as pixels."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from evergrow.corpus.config import HeldOutConfig
from evergrow.corpus.records import FileRecord
from evergrow.data.prepared import (
    Asked,
    Prepared,
    finished_folder,
    made_of,
    remove_left_overs,
    stands,
)
from evergrow.disk import new_folder, read_object, sealed, write_file
from evergrow.errors import InputError
from evergrow.images.audit import Entry, audit, difference_hash, entry, fault, repeats
from evergrow.images.config import ImageSourceConfig
from evergrow.images.files import file_sums
from evergrow.images.held_out import MIN_GIVEN, choose_parts, on_other_side
from evergrow.images.identities import identities
from evergrow.images.picture import PARTS, Part, Picture
from evergrow.images.records import Returned, SourceTold
from evergrow.images.returning import counted_returning, recognised, sides
from evergrow.images.shape import refuse_other_depth
from evergrow.images.source import ImageReading, source_pictures
from evergrow.made import Settings
from evergrow.stream.pictures import PictureSource, write_pictures

NO_TOKENIZER = "pictures"  # stands where the keys of text hold the tokenizer's hash
VERSION = 6  # raise by hand when the same files and settings would give other bytes
DIGITS = 3  # the same for the digits, whose bytes stay when only files are read otherwise
SAID = 5  # unreadable pictures named on the screen
SAID_PAIRS = 20  # equal pictures named there
REFUSED = "refused.json"  # the audit of what was not stored; that of finished data stays beside it


class Read(NamedTuple):
    """A source read whole: its pictures by part, what came of the files, and the audit's view."""

    parts: Mapping[Part, list[Picture]]
    reading: ImageReading
    entries: list[Entry]
    on_other_side: int  # patients who are not where their hash puts them
    earlier: Mapping[str, list[Entry]]  # the entries before it, known patients recognised


def prepare_pictures(
    asked: Asked, sources: Mapping[str, ImageSourceConfig], held_out: HeldOutConfig
) -> Prepared:
    """Make data/<source>-<hash12> for every source, in order, and data/audit.json.

    Finished folders stay: of their files only the checksums are looked at, and when all are gone
    the finished pictures are used. One whose files or settings changed before any stage read it is
    made again. Raises InputError for
    all that reading, splitting and the audit refuse, and for changed settings of what was read.
    """
    data, say = asked.data, asked.say
    remove_left_overs(data)
    paths: dict[str, Path] = {}
    entries: dict[str, list[Entry]] = {}
    keys: list[str] = []
    people: frozenset[str] = frozenset()  # whom the files name; asked when one is read
    for name, config in sources.items():
        everything = name in asked.only_measured
        settings = _settings(config, held_out, everything)
        finished = finished_folder(data, name)
        files = partial(_changed_files, name, config, asked.base)
        if stands(asked, name, finished, version(config), settings, files):
            assert finished is not None
            paths[name] = finished
        else:
            entries = {n: entries.get(n) or stored_entries(path) for n, path in paths.items()}
            data.mkdir(parents=True, exist_ok=True)
            people = people or identities(sources, asked.base)
            read = read_source(
                sources, name, held_out, asked.base, everything, entries, people, data
            )
            entries = {**read.earlier, name: read.entries}
            _say_unreadable(name, read.reading, say)
            found = [e for own in entries.values() for e in own]
            _refuse_faults(data, found, name, say)
            returning = counted_returning(found, name, config)
            _refuse_depth(name, read, paths)
            paths[name] = _stored(data, name, config, settings, read, returning, keys, say)
        keys.append(PictureSource.open(paths[name]).manifest["key"])
    _write_audit(data, paths, entries, keys)
    manifests = {name: PictureSource.open(path).manifest for name, path in paths.items()}
    return Prepared(None, paths, manifests)


def read_source(
    sources: Mapping[str, ImageSourceConfig],
    name: str,
    held_out: HeldOutConfig,
    base: Path,
    everything: bool,
    earlier: Mapping[str, Sequence[Entry]],
    people: Collection[str],
    scratch: Path,
) -> Read:
    """Read one of the sources and split it; raises InputError when a part is too small."""
    reading = ImageReading()
    shown = {e.content_hash: e.shows for own in earlier.values() for e in own}
    pictures = source_pictures(sources[name], base, name, reading, shown, people, scratch)
    before, gone = recognised(earlier, sources, base, pictures)
    reading.sentences += [
        f"{name}: its patients may be those of {n}, whose files are gone" for n in gone
    ]
    if everything and len(pictures) < MIN_GIVEN:
        raise InputError(f"sources.{name}: one picture is too few to measure on; give it more")
    known = sides(before) if sources[name].returning == "refuse" else {}
    chosen: list[Part] = ["held_out"] * len(pictures)
    if not everything:
        chosen = choose_parts(pictures, held_out.fraction, name, known)
        reading.split = sorted({picture.split for picture in pictures if picture.split})
    parts: dict[Part, list[Picture]] = {part: [] for part in PARTS}
    for picture, part in zip(pictures, chosen, strict=True):
        parts[part].append(picture)
    entries = [entry(picture, part) for picture, part in zip(pictures, chosen, strict=True)]
    if not everything and not parts["train"]:
        raise InputError(f"sources.{name}: nothing is left to train on; look at its splits")
    elsewhere = on_other_side(pictures, chosen, held_out.fraction)
    return Read(parts, reading, entries, elsewhere, before)


def _refuse_depth(name: str, read: Read, paths: Mapping[str, Path]) -> None:
    kind = next(p for part in read.parts.values() for p in part).pixels.dtype.str
    others = {n: PictureSource.open(path).manifest["dtype"] for n, path in paths.items()}
    refuse_other_depth(name, kind, others)


def _refuse_faults(
    data: Path, entries: list[Entry], source: str, on_progress: Callable[[str], None]
) -> None:
    """Raise InputError for what the audit finds, all of which ``data``/refused.json lists.

    Its keys may be pseudonyms, so the first pairs are said on the screen by their files' names.
    """
    found = fault(entries, source)
    path = data / REFUSED
    path.unlink(missing_ok=True)
    if found is None:
        return
    pairs = repeats(entries)
    for a, b in pairs[:SAID_PAIRS]:
        on_progress(f"{source}: equal: {a.shown}, {b.shown}")
    if (more := len(pairs) - SAID_PAIRS) > 0:
        on_progress(f"{source}: {more:,} more pairs are equal")
    write_file(path, json.dumps(audit(entries).to_data(), indent=1) + "\n")
    raise InputError(f"{found}; the audit in {path} lists all")


def _write_audit(
    data: Path, paths: Mapping[str, Path], entries: Mapping[str, list[Entry]], keys: list[str]
) -> None:
    """The audit of all sources, unless the one that is there is of the same data."""
    path = data / "audit.json"
    way_out = "delete it and it is made again"
    if path.exists() and read_object(path, way_out).get("keys") == keys:
        return
    own = [e for name, p in paths.items() for e in entries.get(name) or stored_entries(p)]
    manifests = {name: PictureSource.open(p).manifest for name, p in paths.items()}
    elsewhere = {name: m.get("on_other_side", 0) for name, m in manifests.items()}
    told = {name: SourceTold.model_validate(m.get("told", {})) for name, m in manifests.items()}
    found = audit(own, elsewhere, told).model_copy(update={"keys": keys})
    write_file(path, json.dumps(sealed(found.to_data()), indent=1) + "\n")


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
            own = Entry(key, name, part, digest, looks, patient, label, burned_in)
            found.append(replace(own, findings=source.findings_of(part, row)))
    return found


def _say_unreadable(source: str, reading: ImageReading, on_progress: Callable[[str], None]) -> None:
    """Name what was left out on the screen, where a file's own name may stand."""
    for sentence in reading.sentences:
        on_progress(sentence)
    for found in reading.unreadable[:SAID]:
        on_progress(f"{source}: left out {found.path}: {found.reason}; {found.way_out}")
    if (more := len(reading.unreadable) - SAID) > 0:
        on_progress(f"{source}: left out {more:,} more, in the quarantine of its manifest.json")


def _settings(config: ImageSourceConfig, held_out: HeldOutConfig, everything: bool) -> Settings:
    return config.content_settings | {"held_out": 1.0 if everything else held_out.fraction}


def version(config: ImageSourceConfig) -> int:
    """The version of what is made of a source."""
    return DIGITS if config.pictures else VERSION


def _changed_files(
    name: str, config: ImageSourceConfig, base: Path, recorded: list[FileRecord]
) -> list[str] | None:
    """Whether files are others now; None when they are gone. Their names may identify a patient,
    so none is said."""
    now = file_sums(config, base, name)
    if not now and recorded:
        return None
    return [] if now == sorted(file.blake3 for file in recorded) else ["its files changed"]


def _stored(
    data: Path,
    name: str,
    config: ImageSourceConfig,
    settings: Settings,
    read: Read,
    returning: Mapping[str, Returned],
    earlier: list[str],
    on_progress: Callable[[str], None],
) -> Path:
    """Write the source's data folder."""
    files = [FileRecord(**file.model_dump()) for file in read.reading.files]
    made = made_of(version(config), settings, files, earlier, NO_TOKENIZER)
    target = data / f"{name}-{made.key[:12]}"
    on_progress(f"{name}: storing {sum(map(len, read.parts.values())):,} pictures")
    told = read.reading.told(returning)
    manifest = {
        "format": 1,
        "source": name,
        "form": "pictures",
        "key": made.key,
        "made": made.model_dump(mode="json"),
        "created_from": {"files": [file.model_dump() for file in read.reading.files]},
        "tokenizer": NO_TOKENIZER,
        **({"findings": config.findings} if config.findings else {}),
        "num_dropped": read.reading.num_dropped,
        "quarantine": [left.model_dump() for left in read.reading.quarantine],
        "on_other_side": read.on_other_side,
        "told": told.model_dump(mode="json"),
        "audit": audit(read.entries, {name: read.on_other_side}, {name: told}).to_data(),
    }
    with new_folder(target) as unfinished:
        write_pictures(unfinished, read.parts, manifest)
    return target
