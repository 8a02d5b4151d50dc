"""Sources of pictures to data folders, once: read, audited, split by patient, stored as pixels."""

import json
import shutil
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from evergrow.corpus.config import HeldOutConfig
from evergrow.disk import new_folder, write_file
from evergrow.errors import InputError
from evergrow.flow.prepare import WAYS_OUT, Prepared, data_key, finished_folder, remove_left_overs
from evergrow.images.audit import Entry, audit, difference_hash, entry, fault, repeats
from evergrow.images.config import ImageSourceConfig
from evergrow.images.held_out import MIN_GIVEN, choose_held_out, on_other_side
from evergrow.images.picture import Picture
from evergrow.images.source import ImageReading, file_sums, source_pictures
from evergrow.stream.pictures import PictureSource, write_pictures

NO_TOKENIZER = "pictures"  # stands where the keys of text hold the tokenizer's hash
VERSION = 3  # raise by hand when the same files and settings would give other bytes
DIGITS = 2  # the same for the digits, whose bytes stay when only files are read otherwise
SAID = 5  # unreadable pictures named on the screen
SAID_PAIRS = 20  # equal pictures named there
REFUSED = "refused.json"  # the audit of what was not stored; that of finished data stays beside it


class Read(NamedTuple):
    """A source read whole: its pictures by part, what came of the files, and the audit's view."""

    parts: Mapping[str, list[Picture]]
    reading: ImageReading
    entries: list[Entry]
    on_other_side: int  # patients who are not where their hash puts them


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
    the finished pictures are used. One whose files or settings changed before any Run read it is
    made again. A source's pictures are held in memory while it is prepared. Raises InputError for
    all that reading, splitting and the audit refuse, and for changed files or settings.
    """
    data = folder / "data"
    remove_left_overs(data)
    paths: dict[str, Path] = {}
    entries: dict[str, list[Entry]] = {}
    keys: list[str] = []
    for name, config in sources.items():
        settings = _settings(config, held_out, name in only_measured)
        finished = finished_folder(data, name)
        changed = finished and _changed(name, config, settings, base, finished, keys, on_progress)
        if finished is not None and changed and _is_used(folder, finished):
            raise InputError(changed)
        if finished is not None and not changed:
            paths[name] = finished
        else:
            entries = {n: entries.get(n) or stored_entries(path) for n, path in paths.items()}
            earlier = [e for own in entries.values() for e in own]
            read = read_source(name, config, held_out, base, name in only_measured, earlier)
            _say_unreadable(name, read.reading, on_progress)
            _refuse_faults(data, [*earlier, *read.entries], name, on_progress)
            entries[name] = read.entries
            if finished is not None:
                shutil.rmtree(finished)
            paths[name] = _stored(data, name, settings, read, keys, on_progress)
        keys.append(PictureSource.open(paths[name]).manifest["key"])
    _write_audit(data, paths, entries, keys)
    manifests = {name: PictureSource.open(path).manifest for name, path in paths.items()}
    return Prepared(None, paths, manifests)


def read_source(
    name: str,
    config: ImageSourceConfig,
    held_out: HeldOutConfig,
    base: Path,
    everything: bool = False,
    earlier: Sequence[Entry] = (),
) -> Read:
    """Read one source and split it; raises InputError when a part is too small."""
    reading = ImageReading()
    known = {e.content_hash: e.label for e in earlier}
    pictures = source_pictures(config, base, name, reading, known)
    if everything and len(pictures) < MIN_GIVEN:
        raise InputError(f"sources.{name}: one picture is too few to measure on; give it more")
    out = [True] * len(pictures) if everything else None
    out = out or choose_held_out(pictures, held_out.fraction, name)
    parts: dict[str, list[Picture]] = {"train": [], "held_out": []}
    entries = []
    for picture, is_out in zip(pictures, out, strict=True):
        part = "held_out" if is_out else "train"
        parts[part].append(picture)
        entries.append(entry(picture, part))
    if not everything and not parts["train"]:
        raise InputError(f"sources.{name}: nothing is left to train on; look at its splits")
    return Read(parts, reading, entries, on_other_side(pictures, out, held_out.fraction))


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
    write_file(path, json.dumps({"format": 1, **audit(entries)}, indent=1) + "\n")
    raise InputError(f"{found}; the audit in {path} lists all")


def _write_audit(
    data: Path, paths: Mapping[str, Path], entries: Mapping[str, list[Entry]], keys: list[str]
) -> None:
    """The audit of all sources, unless the one that is there is of the same data."""
    path = data / "audit.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")).get("keys") == keys:
        return
    own = [e for name, p in paths.items() for e in entries.get(name) or stored_entries(p)]
    manifests = {name: PictureSource.open(p).manifest for name, p in paths.items()}
    elsewhere = {name: m.get("on_other_side", 0) for name, m in manifests.items()}
    found = {"format": 1, "keys": keys, **audit(own, elsewhere)}
    write_file(path, json.dumps(found, indent=1) + "\n")


def _is_used(folder: Path, data: Path) -> bool:
    """Whether a Run of the recipe's folder was begun on a data folder."""
    runs = [*folder.glob("*/manifest.json"), *folder.glob("*/seed-*/manifest.json")]
    found = (json.loads(path.read_text(encoding="utf-8")) for path in runs)
    return any(Path(used).name == data.name for run in found for used in run["data"].values())


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


def _settings(
    config: ImageSourceConfig, held_out: HeldOutConfig, everything: bool
) -> dict[str, Any]:
    share = 1.0 if everything else held_out.fraction
    version = DIGITS if config.pictures else VERSION
    return config.content_settings | {"held_out": share, "version": version}


def _changed(
    name: str,
    config: ImageSourceConfig,
    settings: dict[str, Any],
    base: Path,
    finished: Path,
    earlier: list[str],
    on_progress: Callable[[str], None],
) -> str | None:
    """The sentence when files, settings or sources before it are not those it was made of."""
    made = PictureSource.open(finished).manifest
    recorded = made["created_from"]["files"]
    now = file_sums(config, base, name)
    gone = not now and recorded
    if not gone and (
        now != sorted(file["blake3"] for file in recorded) or made["settings"] != settings
    ):
        return (
            f"sources.{name}: its files or settings changed since {finished.name} was made; "
            f"restore them, {WAYS_OUT}"
        )
    if made["key"] != data_key(made["settings"], recorded, earlier, NO_TOKENIZER):
        return (
            f"sources.{name}: its finished pictures were made after other sources or by another "
            f"version of evergrow; add new sources after the old ones, {WAYS_OUT}"
        )
    if gone:
        on_progress(f"{name}: its files are gone; its finished pictures are used")
    return None


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
        "on_other_side": read.on_other_side,
        "audit": audit(read.entries, {name: read.on_other_side}),
    }
    with new_folder(target) as unfinished:
        write_pictures(unfinished, read.parts, manifest)
    return target


def labels_of(sources: Iterable[PictureSource]) -> list[str]:
    """All labels of training and held-out pictures, numbers in their order, then the alphabet."""
    found = {str(x) for s in sources for part in s.labels.values() for x in part if x is not None}
    return sorted(found, key=lambda label: (not label.isdecimal(), label.zfill(12)))
