"""Sources to token shards, once: held-out parts, one tokenizer, one data folder a source."""

import json
import re
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from blake3 import blake3
from transformers import PreTrainedTokenizerFast

from evergrow.corpus.config import HeldOutConfig
from evergrow.corpus.document import Document
from evergrow.corpus.held_out import EVERYTHING, Split, choose_held_out, split_documents
from evergrow.corpus.repeats import KnownDocuments
from evergrow.corpus.source import SourceReading
from evergrow.corpus.table import stored_documents, write_documents
from evergrow.disk import new_folder
from evergrow.errors import EvergrowError, InputError
from evergrow.flow.origin import Origin
from evergrow.models.save import save_tokenizer
from evergrow.stream.config import TokenizerConfig
from evergrow.stream.shards import TokenSource, read_manifest
from evergrow.stream.tokenizer import (
    load_tokenizer,
    tokenizer_hash,
    train_tokenizer,
)
from evergrow.stream.writer import write_shards

VERSION = 3  # raise by hand when the same files and settings would give other bytes
MAX_TOKENIZER_BYTES = 256 * 2**20  # merges hardly change beyond; more would only take memory
SCRATCH = ".documents"
WAYS_OUT = "give the recipe a new name, or start over with --fresh"


@dataclass(frozen=True)
class Prepared:
    """What training reads: the tokenizer's folder, and each source's data folder and manifest."""

    tokenizer: Path | None  # None where there are pictures
    data: dict[str, Path]
    manifests: dict[str, dict[str, Any]]


@dataclass(frozen=True)
class _Read:
    """A source that is read and split, not yet tokenised."""

    file: Path
    split: Split
    reading: SourceReading

    def documents(self) -> Iterator[tuple[Document, bool]]:
        return split_documents(stored_documents(self.file), self.split)


def prepare(
    folder: Path,
    sources: Mapping[str, Origin],
    held_out: HeldOutConfig,
    tokenizer: TokenizerConfig,
    tokenizer_sources: Sequence[str],
    base: Path,
    on_progress: Callable[[str], None],
    only_measured: Collection[str] = (),
    with_mask: bool = False,
) -> Prepared:
    """Make ``folder``/tokenizer and ``folder``/data/<source>-<hash12> for every source, in order.

    What is finished stays as it is: only sources without a data folder are read. A document that an
    earlier source holds, for training or held out, is dropped from later ones. Relative globs start
    at ``base``. All files of all sources are read for their checksums each time (GB/s); a source
    whose files are all gone is taken from its finished folder.

    Of ``only_measured`` sources everything is held out. A tokenizer that is trained here gets a
    mask token ``with_mask``.

    Raises InputError when files or settings differ from those of a finished folder, and for all
    that reading and splitting refuse; EvergrowError when the disk is full (nothing half-written
    stays).
    """
    data = folder / "data"
    kept = {name: EVERYTHING if name in only_measured else held_out for name in sources}
    finished = {name: path for name in sources if (path := finished_folder(data, name))}
    for name, path in finished.items():
        _refuse_changes(name, sources[name], kept[name], read_manifest(path), on_progress)
    with _scratch(data) as scratch:
        read = _read_sources(sources, kept, finished, scratch, on_progress)
        found = _tokenizer(
            folder / "tokenizer",
            tokenizer,
            with_mask,
            tokenizer_sources,
            base,
            read,
            finished,
            on_progress,
        )
        paths: dict[str, Path] = {}
        keys: list[str] = []
        for name, origin in sources.items():
            if name in read:
                settings = _settings(origin, kept[name])
                on_progress(f"{name}: tokenising")
                paths[name] = _write(
                    data, name, settings, read[name], found, keys, kept[name].tokens, origin.facts
                )
            else:
                paths[name] = finished[name]
                _refuse_other_key(name, read_manifest(paths[name]), found, keys)
            keys.append(read_manifest(paths[name])["key"])
    manifests = {name: TokenSource.open(path).manifest for name, path in paths.items()}
    return Prepared(folder / "tokenizer", paths, manifests)


def finished_folder(data: Path, name: str) -> Path | None:
    """The data folder of a source, complete because it appears by one rename."""
    found = [p for p in data.glob(f"{name}-*") if re.fullmatch(name + "-[0-9a-f]{12}", p.name)]
    if len(found) > 1:
        raise EvergrowError(
            f"{data}: {len(found)} folders of source {name}; keep the one the run was trained on"
        )
    return found[0] if found else None


def remove_left_overs(data: Path) -> None:
    """Make the folder of all data folders; what killed runs left in it is removed."""
    data.mkdir(parents=True, exist_ok=True)
    for left in [*data.glob(".*.writing-*"), *data.glob(SCRATCH)]:
        shutil.rmtree(left)


@contextmanager
def _scratch(data: Path) -> Iterator[Path]:
    """A folder for intermediate files; what killed runs left in ``data`` is removed first."""
    remove_left_overs(data)
    scratch = data / SCRATCH
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _settings(origin: Origin, held_out: HeldOutConfig) -> dict[str, Any]:
    return origin.settings | {"held_out": held_out.model_dump(mode="json")}


def _refuse_changes(
    name: str,
    origin: Origin,
    held_out: HeldOutConfig,
    manifest: dict[str, Any],
    on_progress: Callable[[str], None],
) -> None:
    """Raise InputError when files or settings are not those the finished data came from."""
    now, before = _settings(origin, held_out), manifest["settings"]
    for key in now:
        if now[key] != before.get(key):
            raise InputError(
                f"sources.{name}: {key} is {now[key]!r}, but its finished data was made with "
                f"{before.get(key)!r}; {WAYS_OUT}"
            )
    recorded = manifest["created_from"]["files"]
    if origin.is_gone(recorded):
        on_progress(f"{name}: its files are gone; its finished data is used")
        return
    if changes := origin.changes(name, recorded):
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        raise InputError(
            f"sources.{name}: {changes[0]}{more} since its data was made; restore it, {WAYS_OUT}"
        )


def _read_sources(
    sources: Mapping[str, Origin],
    held_out: Mapping[str, HeldOutConfig],
    finished: Mapping[str, Path],
    scratch: Path,
    on_progress: Callable[[str], None],
) -> dict[str, _Read]:
    """Read and split every source that has no data folder yet, in the order of ``sources``."""
    earlier = KnownDocuments()
    read: dict[str, _Read] = {}
    missing = [name for name in sources if name not in finished]
    for name, origin in sources.items():
        if not missing:
            break
        if name in finished:
            _add_stored(earlier, finished[name])
            continue
        missing.remove(name)
        on_progress(f"{name}: reading")
        read[name] = _read(name, origin, held_out[name], earlier, scratch / name)
        if missing:
            for document, _ in read[name].documents():
                earlier.add(document.content_hash)
                earlier.add(document.parent or document.content_hash)
    return read


def _add_stored(earlier: KnownDocuments, path: Path) -> None:
    for part in ("train", "held_out"):
        table = pq.read_table(path / part / "documents.parquet", columns=["content_hash", "parent"])
        for column in table.columns:
            for digest in column.to_pylist():
                if digest is not None:
                    earlier.add(digest)


def _read(
    name: str,
    origin: Origin,
    held_out: HeldOutConfig,
    earlier: KnownDocuments,
    scratch: Path,
) -> _Read:
    reading = origin.reading(name)
    with new_folder(scratch) as unfinished:
        documents = origin.documents(earlier, reading)
        _, num_bytes = write_documents(unfinished / "documents.parquet", documents)
    file = scratch / "documents.parquet"
    split = choose_held_out(lambda: stored_documents(file), num_bytes, held_out, name)
    return _Read(file, split, reading)


def _tokenizer(
    folder: Path,
    config: TokenizerConfig,
    with_mask: bool,
    sources: Sequence[str],
    base: Path,
    read: Mapping[str, _Read],
    finished: Mapping[str, Path],
    on_progress: Callable[[str], None],
) -> PreTrainedTokenizerFast:
    """The run's tokenizer: made once, from a folder or the training text of ``sources``, then kept.

    Raises InputError when the recipe now asks for another one.
    """
    asked = {"format": 1, **config.model_dump(mode="json", include={"folder", "vocab_size"})}
    if with_mask and config.folder is None:
        asked["mask"] = True
    record = folder / "evergrow_tokenizer.json"
    if folder.exists():
        made = json.loads(record.read_text(encoding="utf-8"))
        if made != asked:
            raise InputError(
                f"tokenizer: the recipe asks for {_asked(asked)}, but {folder} was made with "
                f"{_asked(made)} and never changes; {WAYS_OUT}"
            )
        return load_tokenizer(folder)
    if finished:
        raise EvergrowError(
            f"{folder} is missing, but {next(iter(finished.values()))} was made with it; "
            f"restore it, {WAYS_OUT}"
        )
    if config.folder is not None:
        tokenizer = load_tokenizer(base / Path(config.folder).expanduser())
    else:
        assert config.vocab_size is not None
        on_progress(f"tokenizer: training on {', '.join(sources)}")
        texts = _training_texts([read[s] for s in sources])
        tokenizer = train_tokenizer(texts, config.vocab_size, with_mask)
    with new_folder(folder) as unfinished:
        save_tokenizer(tokenizer, unfinished)
        (unfinished / record.name).write_text(json.dumps(asked) + "\n", encoding="utf-8")
    return load_tokenizer(folder)


def _asked(tokenizer: dict[str, Any]) -> str:
    if tokenizer["folder"] is not None:
        return f"folder {tokenizer['folder']!r}"
    with_mask = " and a mask token" if tokenizer.get("mask") else ""
    return f"vocab_size {tokenizer['vocab_size']:,}{with_mask}"


def _training_texts(sources: Sequence[_Read]) -> Iterator[str]:
    """The training split of the sources; past 256 MiB a share of each, by the documents' hashes."""
    num_bytes = sum(d.num_bytes for s in sources for d, out in s.documents() if not out)
    share = min(1.0, MAX_TOKENIZER_BYTES / max(1, num_bytes))
    for source in sources:
        for document, is_held_out in source.documents():
            # The hash's first digits chose the held-out part; these are independent of them.
            if not is_held_out and int(document.content_hash[-8:], 16) < share * 2**32:
                yield document.text


def _write(
    data: Path,
    name: str,
    settings: dict[str, Any],
    read: _Read,
    tokenizer: PreTrainedTokenizerFast,
    earlier_keys: Sequence[str],
    min_held_out_tokens: int,
    facts: Mapping[str, Any],
) -> Path:
    """Tokenise one source into its data folder, which appears whole or not at all."""
    files = [file.record() for file in sorted(read.reading.files, key=lambda f: f.name)]
    digest = tokenizer_hash(tokenizer)
    key = data_key(settings, files, earlier_keys, digest)
    manifest = {
        "source": name,
        "key": key,
        "settings": settings,
        "created_from": {"files": files, **facts},
        "tokenizer": digest,
        "dropped": asdict(read.reading.dropped),
        "quarantine": [q._asdict() for q in read.reading.quarantine.records],
        "flagged": dict(sorted(read.reading.quarantine.flags.items())),
        "skipped": dict(sorted(read.reading.quarantine.skipped.items())),
    }
    target = data / f"{name}-{key[:12]}"
    with new_folder(target) as unfinished:
        written = write_shards(unfinished, read.documents(), tokenizer, manifest)
        kept = written["held_out"]
        num_tokens = kept["num_tokens"] - kept["num_documents"]  # without EOS
        if num_tokens < min_held_out_tokens:
            raise InputError(
                f"sources.{name}: its held-out {kept['num_bytes']:,} bytes are only {num_tokens:,} "
                f"tokens, fewer than {min_held_out_tokens:,}; lower held_out.tokens or raise "
                "held_out.fraction"
            )
    return target


def data_key(
    settings: dict[str, Any],
    files: Sequence[dict[str, Any]],
    earlier_keys: Sequence[str],
    tokenizer: str,
) -> str:
    """The blake3 hex digest of all that decides a data folder's bytes."""
    parts = [VERSION, settings, files, list(earlier_keys), tokenizer]
    return blake3(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _refuse_other_key(
    name: str,
    manifest: dict[str, Any],
    tokenizer: PreTrainedTokenizerFast,
    earlier_keys: Sequence[str],
) -> None:
    """Raise InputError when finished data belongs to another tokenizer, order or version."""
    digest = tokenizer_hash(tokenizer)
    if manifest["tokenizer"] != digest:
        raise InputError(
            f"sources.{name}: its finished data was made with tokenizer "
            f"{manifest['tokenizer'][:12]}, not {digest[:12]}; restore the tokenizer, {WAYS_OUT}"
        )
    files = manifest["created_from"]["files"]
    if manifest["key"] != data_key(manifest["settings"], files, earlier_keys, digest):
        raise InputError(
            f"sources.{name}: its finished data was made after other sources or by another version "
            f"of evergrow; add new sources after the old ones, {WAYS_OUT}"
        )
