"""Files to Documents, streaming and in a fixed order; the formats stand in formats/."""

from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from evergrow.corpus import parts
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.encodings import LFS_POINTERS, NotText, OtherEncoding
from evergrow.corpus.files import Found, SourceFile, described, in_order, tree_name
from evergrow.corpus.formats import READERS, format_of
from evergrow.corpus.formats.archives import MEMBERS
from evergrow.corpus.formats.tree import Tree, open_tree, read_tree_file, tree_files
from evergrow.corpus.globs import match_files
from evergrow.corpus.hashes import recorded_hashes
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import FREE_BYTES, MAX_RATIO, PackingBroken, UnpacksTooLarge
from evergrow.errors import InputError

OPEN_FILES = 64  # read in turn; within every system's limit on open files
BOMB = f"files that unpack to more than {FREE_BYTES // 2**20} MiB and {MAX_RATIO} times their size"
BROKEN = "packed data that is damaged or breaks off"


def source_files(
    config: SourceConfig, base: Path, source: str, hashes: Path | None = None
) -> Found:
    """The files that a source's globs and trees name, each read once for its checksum.

    A file that the record ``hashes`` knows by size and times is not read; afterwards it knows all.
    Raises InputError for what is missing, empty or a folder. Not for installed sources.
    """
    with recorded_hashes(hashes) as known:
        if config.trees:
            return Found(tree_files(config, base, source, known), Counter())
        matches = match_files(config.files, base, source)
        return Found(described(matches.files, base, known), matches.skipped)


def read_documents(
    config: SourceConfig, base: Path, quarantine: Quarantine
) -> Generator[Document, None, None]:
    """All documents of the files that ``config`` names, globs relative to ``base``; see read_files.

    Raises InputError past the quarantine's share of bad documents.
    """
    files, skipped = source_files(config, base, quarantine.source)
    quarantine.skipped += skipped
    yield from read_files(config, files, quarantine)
    quarantine.check()
    refuse_broken(quarantine.source, quarantine.reasons[BROKEN], len(files))


def refuse_broken(source: str, num_broken: int, num_files: int) -> None:
    """Raise InputError when no file of a source is whole, however much of it was read."""
    if num_files and num_broken == num_files:
        raise InputError(
            f"sources.{source}: {BROKEN} in every file ({num_files}); fetch or compress them again"
        )


def read_files(
    config: SourceConfig, files: Sequence[SourceFile], quarantine: Quarantine
) -> Generator[Document, None, None]:
    """The documents of ``files``: one of each in turn, the files ordered by a hash of their names.

    So any beginning of the stream is spread over the files, whatever they contain. Texts longer
    than 4 MiB come as several documents, cut at line ends. Bad documents go to ``quarantine``;
    ask it with ``check()`` when done. Of a packed file that is broken what came before stays.
    Raises InputError for a broken Parquet file or a missing column.
    """
    with closing(_in_turn(in_order(files), config, quarantine)) as documents:
        for document in documents:
            quarantine.num_documents += 1
            yield from parts.cut(document, parts.MAX_DOCUMENT_BYTES)


def _in_turn(
    files: Sequence[SourceFile], config: SourceConfig, quarantine: Quarantine
) -> Generator[Document, None, None]:
    trees: dict[Path, Tree] = {}
    waiting = iter(files)
    turns = deque(_opened(file, config, quarantine, trees) for file in islice(waiting, OPEN_FILES))
    while turns:
        documents = turns.popleft()
        document = next(documents, None)
        if document is not None:
            yield document
            turns.append(documents)
        elif (file := next(waiting, None)) is not None:
            turns.append(_opened(file, config, quarantine, trees))


def _opened(
    file: SourceFile, config: SourceConfig, quarantine: Quarantine, trees: dict[Path, Tree]
) -> Iterator[Document]:
    """The documents of a file, or those before the place where it breaks or is a bomb."""
    try:
        if file.fault is not None:
            quarantine.add(file.name, 0, *file.fault)
        elif file.tree is not None:
            if file.tree not in trees:
                trees[file.tree] = open_tree(file.tree, tree_name(file), quarantine)
            yield from read_tree_file(file, trees[file.tree], config, quarantine)
        elif (members := MEMBERS.get(file.suffixes[0])) is None:
            yield from READERS[format_of(file, config)](file, config, quarantine)
        else:
            for member in members(file, quarantine):
                yield from _opened_member(member, config, quarantine, trees)
    except NotText as other:
        _leave_out(file, other.kind, config, quarantine)
    except OtherEncoding as other:
        quarantine.add(file.name, 0, *other.fault)
    except UnpacksTooLarge as bomb:
        way_out = "unpack it yourself if it is to be trusted, or leave it out of `files`"
        quarantine.add(file.name, 0, BOMB, way_out, b"", bomb.num_bytes)
    except PackingBroken as broken:
        way_out = "fetch or compress the file again"
        quarantine.add(file.name, broken.offset, BROKEN, way_out)


def _opened_member(
    member: SourceFile, config: SourceConfig, quarantine: Quarantine, trees: dict[Path, Tree]
) -> Iterator[Document]:
    """The documents of a file in an archive, unless it can only be read from its end."""
    if member.suffixes[0] in MEMBERS or format_of(member, config) in ("parquet", "arrow"):
        quarantine.skipped["archives, Parquet and Arrow files in archives"] += 1
    else:
        yield from _opened(member, config, quarantine, trees)


def _leave_out(file: SourceFile, kind: str, config: SourceConfig, quarantine: Quarantine) -> None:
    """Count what a file is in place of text; it is a bad document where its name or the source
    says that it holds rows or pages."""
    claimed = format_of(file, config)
    if claimed == "text" or file.tree is not None:
        quarantine.skipped[kind] += 1
        return
    way_out = "fetch them with git lfs pull" if kind == LFS_POINTERS else "leave them out"
    quarantine.add(file.name, 0, f"{kind} in place of {claimed}", way_out)
