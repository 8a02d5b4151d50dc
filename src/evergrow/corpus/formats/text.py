"""Plain text, Markdown and code: one document a file."""

from collections.abc import Iterator

from evergrow.corpus import parts
from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document, with_newlines
from evergrow.corpus.encodings import MAX_NULS, open_text, undecodable
from evergrow.corpus.files import SourceFile
from evergrow.corpus.quarantine import Quarantine
from evergrow.corpus.unpack import refuse_bomb

ZEROS = ("text with many zero bytes", "cut them off, or leave the file out of `files`")


def read_text(file: SourceFile, config: SourceConfig, quarantine: Quarantine) -> Iterator[Document]:
    """One document a file; longer files in blocks of at most 4 MiB that end with a line."""
    largest = parts.MAX_DOCUMENT_BYTES
    with open_text(file, config, quarantine, of_rows=False) as stream:
        offset, rest = 0, b""
        while block := stream.read(largest - len(rest)):
            rest += block
            if len(rest) < largest:
                continue
            if offset == 0 and file.suffixes[1]:
                refuse_bomb(file)
            end = rest.rfind(b"\n") + 1 or _character_start(rest)
            end -= rest[:end].endswith(b"\r")  # which may begin a line end
            yield from _decoded(rest[:end], file, offset, config, quarantine)
            offset, rest = offset + end, rest[end:]
        if rest:
            yield from _decoded(rest, file, offset, config, quarantine)


def _character_start(block: bytes) -> int:
    """Where the last UTF-8 character of ``block`` starts; the block's end when it is not UTF-8."""
    starts = (i for i in range(len(block) - 1, len(block) - 5, -1) if block[i] & 0xC0 != 0x80)
    return next(starts, len(block))


def _decoded(
    block: bytes, file: SourceFile, offset: int, config: SourceConfig, quarantine: Quarantine
) -> Iterator[Document]:
    if block.count(0) > MAX_NULS * len(block):
        quarantine.add(file.name, offset + block.index(0), *ZEROS, block)
        return
    try:
        text = block.decode("utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as error:
        quarantine.add(
            file.name, offset + error.start, *undecodable(block[error.start :], config), block
        )
        return
    key = f"{file.name}#{offset}" if offset else None
    text = with_newlines(text)
    yield Document.of(text, quarantine.source, file.name, key=key, file_name=file.name)
