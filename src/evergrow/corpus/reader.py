"""Files to Documents, streaming and in a fixed order; the formats stand in formats/."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

from evergrow.corpus import parts
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.files import SourceFile, in_order, match_files
from evergrow.corpus.formats import READERS, format_of
from evergrow.corpus.formats.tree import Tree, open_tree, read_tree_file, tree_files
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import FREE_BYTES, MAX_RATIO, UnpacksTooLarge

OPEN_FILES = 64  # read in turn; within every system's limit on open files
BOMB = f"files that unpack to more than {FREE_BYTES // 2**20} MiB and {MAX_RATIO} times their size"


def source_files(config: SourceConfig, base: Path, source: str) -> list[SourceFile]:
    """The files that a source's globs and trees name, each read once for its checksum.

    Raises InputError for what is missing, empty or a folder. Not for installed sources.
    """
    if config.trees:
        return tree_files(config, base, source)
    return [SourceFile.at(path, base) for path in match_files(config.files, base, source)]


def read_documents(
    config: SourceConfig, base: Path, quarantine: Quarantine
) -> Generator[Document, None, None]:
    """All documents of the files that ``config`` names, globs relative to ``base``; see read_files.

    Raises InputError past the quarantine's share of bad documents.
    """
    yield from read_files(config, source_files(config, base, quarantine.source), quarantine)
    quarantine.check()


def read_files(
    config: SourceConfig, files: Sequence[SourceFile], quarantine: Quarantine
) -> Generator[Document, None, None]:
    """The documents of ``files``: one of each in turn, the files ordered by a hash of their names.

    So any beginning of the stream is spread over the files, whatever they contain. Texts longer
    than 4 MiB come as several documents, cut at line ends. Bad documents go to ``quarantine``;
    ask it with ``check()`` when done. Raises InputError for a broken file or a missing column.
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
    """The documents of a file, or those before the place where it turns out to be a bomb."""
    try:
        if file.tree is None:
            yield from READERS[format_of(file, config)](file, config, quarantine)
        else:
            if file.tree not in trees:
                trees[file.tree] = open_tree(file.tree, quarantine)
            yield from read_tree_file(file, trees[file.tree], config, quarantine)
    except UnpacksTooLarge as bomb:
        way_out = "unpack it yourself if it is to be trusted, or leave it out of `files`"
        quarantine.add(file.name, 0, BOMB, way_out, b"", bomb.num_bytes)
