"""Sources of pictures to data folders, once: read, audited, split by patient, stored as pixels."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from evergrow.corpus.config import HeldOutConfig
from evergrow.disk import new_folder, write_file
from evergrow.errors import InputError
from evergrow.flow.prepare import WAYS_OUT, Prepared, data_key, finished_folder, remove_left_overs
from evergrow.images.audit import Entry, audit, entry, refuse
from evergrow.images.config import ImageSourceConfig
from evergrow.images.held_out import choose_held_out
from evergrow.images.picture import Picture
from evergrow.images.source import ImageReading, source_pictures
from evergrow.stream.pictures import PictureSource, write_pictures

NO_TOKENIZER = "pictures"  # stands where the keys of text hold the tokenizer's hash


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

    Finished folders stay when settings and files are the same. A source's pictures are held in
    memory while it is prepared. Raises InputError for all that reading, splitting and the audit
    refuse, for changed files or settings, and for a patient or picture on both sides of the split
    of two sources.
    """
    data = folder / "data"
    remove_left_overs(data)
    paths: dict[str, Path] = {}
    entries: list[Entry] = []
    keys: list[str] = []
    for name, config in sources.items():
        everything = name in only_measured
        read = read_source(name, config, held_out, base, everything)
        entries += read.entries
        _refuse_across(entries, name)
        key = _key(config, held_out, everything, read, keys)
        keys.append(key)
        paths[name] = _stored(data, name, config, read, key, on_progress)
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
) -> Read:
    """Read one source and split it; raises InputError when its own audit refuses it."""
    reading = ImageReading()
    pictures = list(source_pictures(config, base, name, reading))
    out = [True] * len(pictures) if everything else None
    out = out or choose_held_out(pictures, held_out.fraction, name)
    parts: dict[str, list[Picture]] = {"train": [], "held_out": []}
    entries = []
    for picture, is_out in zip(pictures, out, strict=True):
        part = "held_out" if is_out else "train"
        parts[part].append(picture)
        entries.append(entry(picture, part))
    refuse(audit(entries), name)
    if not everything and not parts["train"]:
        raise InputError(f"sources.{name}: nothing is left to train on; look at its splits")
    return Read(parts, reading, entries)


def _refuse_across(entries: list[Entry], source: str) -> None:
    """Raise InputError for a picture or patient of ``source`` on the other side of an earlier one.

    Patients' pseudonyms agree only within one set of files, so across sources pictures decide.
    """
    sides: dict[str, Entry] = {}
    for known in entries:
        other = sides.setdefault(known.content_hash, known)
        if other.part != known.part:
            raise InputError(
                f"sources.{source}: {known.key} is {_side(known)}, the same pixels are "
                f"{_side(other)} as {other.key} of {other.source}; remove one of the two"
            )


def _side(entry: Entry) -> str:
    return "trained on" if entry.part == "train" else "held out"


def _key(
    config: ImageSourceConfig,
    held_out: HeldOutConfig,
    everything: bool,
    read: Read,
    earlier: list[str],
) -> str:
    share = 1.0 if everything else held_out.fraction
    settings = config.content_settings | {"held_out": share}
    return data_key(settings, read.reading.files, earlier, NO_TOKENIZER)


def _stored(
    data: Path,
    name: str,
    config: ImageSourceConfig,
    read: Read,
    key: str,
    on_progress: Callable[[str], None],
) -> Path:
    """The source's data folder, written if it is not there; refuses another one of its name."""
    target = data / f"{name}-{key[:12]}"
    finished = finished_folder(data, name)
    if finished is not None and finished != target:
        raise InputError(
            f"sources.{name}: its files or settings changed since {finished.name} was made; "
            f"restore them, {WAYS_OUT}"
        )
    if finished is None:
        on_progress(f"{name}: storing {sum(map(len, read.parts.values())):,} pictures")
        manifest = _manifest(name, config, read, key)
        with new_folder(target) as unfinished:
            write_pictures(unfinished, read.parts, manifest)
    return target


def _manifest(name: str, config: ImageSourceConfig, read: Read, key: str) -> dict[str, Any]:
    return {
        "format": 1,
        "source": name,
        "key": key,
        "settings": config.content_settings,
        "created_from": {"files": read.reading.files},
        "tokenizer": NO_TOKENIZER,
        "num_dropped": read.reading.num_dropped,
        "quarantine": [u._asdict() for u in read.reading.unreadable],
        "audit": audit(read.entries),
    }


def labels_of(sources: Iterator[PictureSource]) -> list[str]:
    """All labels of training and held-out pictures, numbers in their order, then the alphabet."""
    found = {str(x) for s in sources for part in s.labels.values() for x in part if x is not None}
    return sorted(found, key=lambda label: (not label.isdecimal(), label.zfill(12)))
