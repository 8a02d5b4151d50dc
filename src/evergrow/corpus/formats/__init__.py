"""What a file can hold, and the function that reads it; found by the suffix unless it is named."""

from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

from evergrow.corpus.config import SourceConfig
from evergrow.corpus.document import Document
from evergrow.corpus.files import SourceFile
from evergrow.corpus.formats.archives import MEMBERS
from evergrow.corpus.formats.arrow import read_arrow
from evergrow.corpus.formats.delimited import read_csv, read_tsv
from evergrow.corpus.formats.html import read_html
from evergrow.corpus.formats.json_values import read_json
from evergrow.corpus.formats.jsonl import read_jsonl
from evergrow.corpus.formats.parquet import read_parquet
from evergrow.corpus.formats.text import read_text
from evergrow.corpus.formats.warc import read_warc
from evergrow.corpus.quarantine import Quarantine

FileReader = Callable[[SourceFile, SourceConfig, Quarantine], Iterator[Document]]
READERS: dict[str, FileReader] = {
    "text": read_text,
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "tsv": read_tsv,
    "parquet": read_parquet,
    "arrow": read_arrow,
    "html": read_html,
    "warc": read_warc,
}
SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".feather": "arrow",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".warc": "warc",
    ".wet": "warc",
}


EXTRACTORS = {"html": ("resiliparse",), "warc": ("resiliparse",)}


def extractors(files: Sequence[SourceFile], config: SourceConfig) -> dict[str, str]:
    """Name -> version of the packages that decide what is read of ``files``, those of them that
    are installed; reading says which one is missing."""
    own = [file for file in files if file.tree is None]
    formats = {format_of(file, config) for file in own}
    if any(file.suffixes[0] in MEMBERS for file in own):
        formats |= EXTRACTORS.keys()  # whatever may be in it
    found = {}
    for name in sorted({name for kind in formats for name in EXTRACTORS.get(kind, ())}):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def format_of(file: SourceFile, config: SourceConfig) -> str:
    """The key of READERS: as the source says, else by the suffix; unknown suffixes are text."""
    if config.format != "auto":
        return config.format
    return SUFFIXES.get(file.suffixes[0], "text")
