"""Whether a finished corpus is still what it was when its manifest was written."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from evergrow.config import Record
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.earlier import parent_at
from evergrow.corpus.curate.manifest import MANIFEST, parse_manifest
from evergrow.corpus.curate.measure import Shard, signals_file
from evergrow.corpus.curate.units import recorded
from evergrow.corpus.records import StoredFile
from evergrow.errors import InputError

DECIDED = "decided.json"


def is_whole(folder: Path, manifest: bytes) -> bool:
    """Whether every file that answers about the corpus of this ``manifest`` need is as it was.

    All of them are read for their checksums.
    """
    try:
        corpus = Corpus(folder, parse_manifest(manifest, folder / MANIFEST))
        refuse_changed(corpus, all_files(corpus))
    except InputError:
        return False
    return True


def all_files(corpus: Corpus) -> Iterator[StoredFile]:
    """Every file of a corpus; raises InputError when records of them are not its own."""
    told = corpus.manifest
    yield from (*told.read, *told.documents, *told.shards)
    yield from decided_files(corpus)  # the index and the card among them
    for shard in corpus.shards:
        yield from signal_files(corpus, shard)


def decided_files(corpus: Corpus) -> Sequence[StoredFile]:
    """What the deciding stage wrote; raises InputError when it has decided otherwise since."""
    decided = recorded(corpus.folder, DECIDED, Record)
    if decided is None or decided.key != corpus.key:
        raise changed(corpus, DECIDED)
    return decided.files


def signal_files(corpus: Corpus, shard: Shard) -> Iterator[StoredFile]:
    """The columns of every signal group of a shard; raises InputError when their records went."""
    for key in corpus.manifest.signals.values():
        name = signals_file(key, shard.name)
        done = recorded(corpus.folder, name.removesuffix(".parquet") + ".json", Record)
        if done is None:
            raise changed(corpus, name)
        yield from done.files


def refuse_changed(corpus: Corpus, files: Iterable[StoredFile], quick: bool = False) -> None:
    """Raise InputError for a file that is gone or another one; ``quick`` compares sizes only."""
    for file in files:
        if not (file.has_size if quick else file.is_whole)(corpus.folder):
            raise changed(corpus, file.name)


def refuse_changed_parents(corpus: Corpus) -> None:
    """Raise InputError when an earlier corpus is not where or what it was."""
    for parent in corpus.parents:
        what = f"{corpus.folder}: was compared with {parent.name} in {parent.folder}"
        if not (parent.folder / MANIFEST).exists():
            raise InputError(
                f"{what}, where no finished corpus is any more; bring it back, or curate again "
                "with against: saying where it is now"
            )
        now = parent_at(parent.folder, None)
        if (now.key, now.index) != (parent.key, parent.index):
            raise InputError(
                f"{what} when that was {parent.key[:12]}, and now it is {now.key[:12]}; "
                "curate again"
            )


def changed(corpus: Corpus, name: str) -> InputError:
    """The refusal to answer from a corpus one of whose files is not its own any more."""
    return InputError(
        f"{corpus.folder}: the corpus changed since it was finished ({name} is gone or another "
        "one); run its 'evergrow curate' again"
    )
