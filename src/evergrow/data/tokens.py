"""Corpora to token shards, once: held-out parts, one tokenizer, one data folder a corpus."""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pyarrow.parquet as pq
from pydantic import model_validator
from transformers import PreTrainedTokenizerFast

from evergrow.config import Config, damage
from evergrow.corpus.config import HeldOutConfig
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.document import Document
from evergrow.corpus.held_out import EVERYTHING, Split, choose_held_out, split_documents
from evergrow.corpus.known_documents import KnownDocuments
from evergrow.corpus.table import stored_documents, write_documents
from evergrow.data.prepared import (
    SCRATCH,
    WAYS_OUT,
    Asked,
    CreatedFrom,
    Prepared,
    finished_folder,
    made_of,
    remove_left_overs,
    stands,
)
from evergrow.disk import new_folder
from evergrow.errors import EvergrowError, InputError
from evergrow.made import Made, Settings, chosen
from evergrow.models.save_tokenizer import save_tokenizer
from evergrow.stream.config import TokenizerConfig
from evergrow.stream.shards import TokenSource, read_manifest
from evergrow.stream.tokenizer import (
    load_tokenizer,
    tokenizer_hash,
    train_tokenizer,
)
from evergrow.stream.writer import write_shards

VERSION = 4  # raise by hand when the same files and settings would give other bytes
MAX_TOKENIZER_BYTES = 256 * 2**20  # merges hardly change beyond; more would only take memory
FORMAT = 2  # of the record beside the tokenizer
RECORD = "evergrow_tokenizer.json"


class TokenizerRecord(Config):
    """What a run's tokenizer was made of: ``digest`` of the one in a folder, or settings and a hash
    of what decides the ``text`` it learnt from."""

    format: int = FORMAT
    digest: str | None = None
    vocab_size: int | None = None
    mask: bool | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.digest is None) == (self.vocab_size is None or self.mask is None):
            raise ValueError("expected either digest, or vocab_size and mask")
        return self

    def said(self) -> str:
        """In words."""
        if self.digest is not None:
            return f"one from a folder ({self.digest[:12]})"
        return f"vocab_size {self.vocab_size:,}{' and a mask token' if self.mask else ''}"


@dataclass(frozen=True)
class _Read:
    """A corpus without what others hold, split and not yet tokenised."""

    name: str
    file: Path
    split: Split
    in_others: int

    def documents(self) -> Iterator[tuple[Document, bool]]:
        return split_documents(stored_documents(self.file), self.split)


def prepare_tokens(
    asked: Asked,
    corpora: Mapping[str, Corpus],
    held_out: HeldOutConfig,
    tokenizer: TokenizerConfig,
    tokenizer_sources: Sequence[str],
    with_mask: bool = False,
) -> Prepared:
    """Make tokenizer and data/<name>-<hash12> for every corpus, in order.

    What is finished stays as it is: only corpora without a data folder are read. A document that
    another one holds, for training or held out, is dropped from those read after it. A tokenizer
    that is trained here gets a mask token ``with_mask``.

    Raises InputError when settings differ from those of data that a stage has read, and for all
    that splitting refuses; EvergrowError when the disk is full (nothing half-written stays).
    """
    kept = {name: EVERYTHING if name in asked.only_measured else held_out for name in corpora}
    wish = _wish(asked, tokenizer, with_mask, _text(corpora, kept, tokenizer_sources))
    _refuse_other_tokenizer(asked, wish)
    finished = {
        name: path
        for name, corpus in corpora.items()
        if (path := _standing(asked, name, corpus, kept[name])) is not None
    }
    with _scratch(asked.data) as scratch:
        read = _read_corpora(corpora, kept, finished, scratch, asked.say)
        found = _tokenizer(
            asked, tokenizer, wish, [read[s] for s in tokenizer_sources if s in read], finished
        )
        paths: dict[str, Path] = {}
        keys: list[str] = []
        for name, corpus in corpora.items():
            if name in read:
                asked.say(f"{name}: tokenising")
                paths[name] = _write(asked.data, name, corpus, kept[name], read[name], found, keys)
            else:
                paths[name] = finished[name]
                _refuse_other_words(name, read_manifest(paths[name])["tokenizer"], found)
            keys.append(read_manifest(paths[name])["key"])
    manifests = {name: TokenSource.open(path).manifest for name, path in paths.items()}
    return Prepared(asked.folder / "tokenizer", paths, manifests)


def _standing(asked: Asked, name: str, corpus: Corpus, held_out: HeldOutConfig) -> Path | None:
    """The finished folder of a corpus, if it is still what is asked for."""
    folder = finished_folder(asked.data, name)
    settings = _settings(corpus, held_out)
    return folder if stands(asked, name, folder, VERSION, settings, lambda files: []) else None


@contextmanager
def _scratch(data: Path) -> Iterator[Path]:
    """A folder for intermediate files; what killed runs left in ``data`` is removed first."""
    remove_left_overs(data)
    scratch = data / SCRATCH
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _settings(corpus: Corpus, held_out: HeldOutConfig) -> Settings:
    return {"corpus": corpus.key, "held_out": chosen(held_out)}


def _read_corpora(
    corpora: Mapping[str, Corpus],
    held_out: Mapping[str, HeldOutConfig],
    finished: Mapping[str, Path],
    scratch: Path,
    on_progress: Callable[[str], None],
) -> dict[str, _Read]:
    """Read and split every corpus that has no data folder yet, in the order of ``corpora``."""
    earlier = KnownDocuments()
    read: dict[str, _Read] = {}
    missing = [name for name in corpora if name not in finished]
    for path in finished.values() if missing else ():
        _add_stored(earlier, path)
    for name, corpus in corpora.items():
        if name in finished:
            continue
        missing.remove(name)
        on_progress(f"{name}: reading")
        read[name] = _read(name, corpus, held_out[name], earlier, scratch / name, on_progress)
        if missing:
            for document, _ in read[name].documents():
                earlier.add(document.content_hash)
                earlier.add(document.parent or document.content_hash)
    return read


def _add_stored(earlier: KnownDocuments, path: Path) -> None:
    TokenSource.open(path).proof.wait()  # a damaged table is told as such
    for part in ("train", "held_out"):
        table = pq.read_table(path / part / "documents.parquet", columns=["content_hash", "parent"])
        for column in table.columns:
            for digest in column.to_pylist():
                if digest is not None:
                    earlier.add(digest)


def _read(
    name: str,
    corpus: Corpus,
    held_out: HeldOutConfig,
    earlier: KnownDocuments,
    scratch: Path,
    say: Callable[[str], None],
) -> _Read:
    with new_folder(scratch) as unfinished:
        new = (d for d in corpus.documents() if not _is_known(d, earlier))
        rows, num_bytes = write_documents(unfinished / "documents.parquet", new)
    file = scratch / "documents.parquet"
    split = choose_held_out(lambda: stored_documents(file), num_bytes, held_out, name)
    if in_others := corpus.num_documents - rows:
        say(f"{name}: {in_others:,} documents that other sources hold are left out")
    return _Read(name, file, split, in_others)


def _is_known(document: Document, earlier: KnownDocuments) -> bool:
    """Whether it is there already, as it is or as it was read."""
    as_read = document.parent or document.content_hash
    return document.content_hash in earlier or as_read in earlier


def _refuse_other_tokenizer(asked: Asked, wish: TokenizerRecord | None) -> None:
    """Raise InputError when the recipe now asks for another tokenizer than stages have read with.

    One that nothing has read with goes, with the data that was made with it, also when it would
    learn from other text now. One from a folder is known by what it holds: that may be moved, and
    be gone (``wish`` is None).
    """
    folder = asked.folder / "tokenizer"
    if not folder.exists() or wish is None:
        return
    made = _recorded(folder / RECORD)
    if made == wish:
        return
    if not asked.read:
        _forget(asked)
    elif made.model_copy(update={"text": wish.text}) != wish:
        raise InputError(
            f"tokenizer: the recipe asks for {wish.said()}, but {folder} was made with "
            f"{made.said()} and never changes; {WAYS_OUT}"
        )


def _recorded(path: Path) -> TokenizerRecord:
    """What a run's tokenizer was made of; raises EvergrowError when that is damaged or gone."""
    try:
        return TokenizerRecord.model_validate_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise EvergrowError(
            f"{path}: {damage(error)}; restore it from a copy, {WAYS_OUT}"
        ) from error


def _forget(asked: Asked) -> None:
    """Delete a tokenizer that nothing has read with, and the data that was made with it."""
    shutil.rmtree(asked.folder / "tokenizer")
    for path in asked.data.glob("*-*/manifest.json"):
        shutil.rmtree(path.parent)


def _given(asked: Asked, config: TokenizerConfig) -> Path:
    return asked.base / Path(str(config.folder)).expanduser()


def _wish(
    asked: Asked, config: TokenizerConfig, with_mask: bool, text: str
) -> TokenizerRecord | None:
    """What decides a tokenizer, as its record holds it; None when its folder is gone."""
    if config.folder is None:
        return TokenizerRecord(vocab_size=config.vocab_size, mask=with_mask, text=text)
    if not _given(asked, config).is_dir() and (asked.folder / "tokenizer").exists():
        return None
    return TokenizerRecord(digest=tokenizer_hash(load_tokenizer(_given(asked, config))))


def _text(
    corpora: Mapping[str, Corpus], held_out: Mapping[str, HeldOutConfig], sources: Sequence[str]
) -> str:
    """A hash of what decides the training text of ``sources``: theirs, and that read before it."""
    places = [place for place, name in enumerate(corpora) if name in sources]
    before = list(corpora)[: max(places, default=-1) + 1]
    settings: Settings = {"sources": [*sources]}
    settings["held_out"] = {name: chosen(held_out[name]) for name in before}
    inputs = {f"{place} {name}": corpora[name].key for place, name in enumerate(before)}
    return Made(version=VERSION, settings=settings, inputs=inputs).key


def _tokenizer(
    asked: Asked,
    config: TokenizerConfig,
    wish: TokenizerRecord | None,
    trained_on: Sequence[_Read],
    finished: Mapping[str, Path],
) -> PreTrainedTokenizerFast:
    """The run's tokenizer: made once, from a folder or training text, then kept."""
    folder = asked.folder / "tokenizer"
    if folder.exists():
        return load_tokenizer(folder)
    if finished:
        raise EvergrowError(
            f"{folder} is missing, but {next(iter(finished.values()))} was made with it; "
            f"restore it, {WAYS_OUT}"
        )
    assert wish is not None  # its folder is there, or _wish had said so
    if config.folder is not None:
        tokenizer = load_tokenizer(_given(asked, config))
    else:
        assert config.vocab_size is not None
        if not trained_on:
            raise InputError(
                "tokenizer: there is no text to train one on; set tokenizer.folder or model.from"
            )
        asked.say(f"tokenizer: training on {', '.join(read.name for read in trained_on)}")
        texts = _training_texts(trained_on)
        tokenizer = train_tokenizer(texts, config.vocab_size, bool(wish.mask))
    with new_folder(folder) as unfinished:
        save_tokenizer(tokenizer, unfinished)
        text = json.dumps(wish.model_dump(exclude_none=True)) + "\n"
        (unfinished / RECORD).write_text(text, encoding="utf-8")
    return load_tokenizer(folder)


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
    corpus: Corpus,
    held_out: HeldOutConfig,
    read: _Read,
    tokenizer: PreTrainedTokenizerFast,
    after: Sequence[str],
) -> Path:
    """Tokenise one corpus into its data folder, which appears whole or not at all."""
    digest = tokenizer_hash(tokenizer)
    made = made_of(VERSION, _settings(corpus, held_out), [], after, digest)
    manifest = {
        "source": name,
        "form": "tokens",
        "key": made.key,
        "made": made.model_dump(mode="json"),
        "created_from": CreatedFrom(files=[], corpus=corpus.facts).to_data(),
        "tokenizer": digest,
        "in_others": read.in_others,
    }
    target = data / f"{name}-{made.key[:12]}"
    with new_folder(target) as unfinished:
        written = write_shards(unfinished, read.documents(), tokenizer, manifest)
        kept = written["held_out"]
        marks = 2 if "first" in written else 1  # what begins a document, and EOS
        num_tokens = kept["num_tokens"] - marks * kept["num_documents"]
        if num_tokens < held_out.tokens:
            raise InputError(
                f"sources.{name}: its held-out {kept['num_bytes']:,} bytes are only {num_tokens:,} "
                f"tokens, fewer than {held_out.tokens:,}; lower held_out.tokens or raise "
                "held_out.fraction"
            )
    return target


def _refuse_other_words(name: str, made_with: str, tokenizer: PreTrainedTokenizerFast) -> None:
    """Raise InputError when finished data belongs to another tokenizer."""
    digest = tokenizer_hash(tokenizer)
    if made_with != digest:
        raise InputError(
            f"sources.{name}: its finished data was made with tokenizer {made_with[:12]}, not "
            f"{digest[:12]}; restore the tokenizer, {WAYS_OUT}"
        )
