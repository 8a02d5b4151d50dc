"""What the files of a finished corpus say: written from these records, and read into them.

``corpus.json`` is a Manifest, ``card.json`` a Card. Fields stand in the order of the files, so that
the same corpus has the same bytes; reading them needs pydantic alone.
"""

from pathlib import Path

from pydantic import JsonValue

from evergrow.config import Record
from evergrow.disk import checksum

CARD = "card.json"
CARD_FORMAT = 1


class FileRecord(Record):
    """A file of a source: its path as recorded, its size and what its bytes hash to."""

    path: str
    bytes: int
    blake3: str


class StoredFile(Record):
    """A file of a corpus: ``name`` is its path in the corpus' folder."""

    name: str
    rows: int
    bytes: int
    blake3: str

    @classmethod
    def at(cls, folder: Path, name: str, rows: int) -> "StoredFile":
        """Describe a file that was just written; it is read once for its checksum."""
        path = folder / name
        return cls(name=name, rows=rows, bytes=path.stat().st_size, blake3=checksum(path))

    def is_whole(self, folder: Path) -> bool:
        """Whether the file is there with the bytes it was written with."""
        return self.has_size(folder) and checksum(folder / self.name) == self.blake3

    def has_size(self, folder: Path) -> bool:
        """Whether the file is there and as long as it was written; nothing is read."""
        path = folder / self.name
        return path.exists() and path.stat().st_size == self.bytes


class _Source(Record):
    source: str


class _Shard(Record):
    shard: str
    source: str


class KeptFile(StoredFile, _Source):
    """Kept documents of a source; in the file the source comes first."""


class ShardFile(StoredFile, _Shard):
    """Documents of a shard, kept and dropped alike; in the file shard and source come first."""


class Named(Record):
    """A corpus by its name and its key."""

    name: str
    key: str


class ParentRecord(Named):
    """An earlier corpus: where it is, from the later one's folder, and its index' checksum."""

    folder: str
    index: str


class Unknown(Record):
    """Documents that say no date, and no licence."""

    date: int
    license: int


class SourceRecord(Record):
    """A source of a corpus: its settings, what was read of it, what was not and why."""

    settings: dict[str, JsonValue]
    documents: int
    bytes: int
    unknown: Unknown
    quarantined: dict[str, int]
    flagged: dict[str, int]
    skipped: dict[str, int]
    files: list[FileRecord]


class Ingested(Record):
    """What a group of a source's files gave; date and license count documents that say one."""

    source: str
    documents: int
    bytes: int
    date: int
    license: int
    files: list[FileRecord]
    bad: dict[str, int]
    flags: dict[str, int]
    skipped: dict[str, int]


class Cut(Record):
    """Repeated lines or paragraphs that were cut, and the documents of code, which lose none."""

    pieces: int
    bytes: int
    code_documents: int


class Written(Record):
    """Kept documents of a shard; ``withheld`` counts by edit those that it is not for."""

    source: str
    documents: int
    bytes: int
    withheld: dict[str, int]


class Checked(Record):
    """One test suite that a corpus was compared with.

    num_unchecked  items that are too short, or too much like the others, to be compared at all
    num_items_found, num_documents  the items that documents hold, and the documents that hold one
    """

    suite: str
    digest: str
    num_items: int
    num_unchecked: int
    num_items_found: int
    num_documents: int


class Amount(Record):
    """Documents and bytes."""

    documents: int
    bytes: int


class Step(Record):
    """What a rule took of what was left before it, and (any) would take, were it asked first."""

    stage: str
    rule: str
    documents: int
    bytes: int
    any_documents: int
    any_bytes: int


class Kept(Amount):
    """What stayed; edits may have made it shorter."""

    bytes_after_edits: int


class Waterfall(Record):
    """From all that was read to all that was kept.

    Bytes of the dropped are as read, of the kept as read and after edits.
    """

    read: Amount
    steps: list[Step]
    kept: Kept


class Duplicates(Record):
    """Documents dropped for one that stays: rows the dropped one's source, columns the other's.

    The last of ``sources`` is ``earlier``: documents that earlier corpora keep.
    """

    sources: list[str]
    exact: list[list[int]]
    near: list[list[int]]


class NearPairs(Record):
    """How near duplicates were verified: pairs that shared a band, those of them that the estimate
    did not rule out and whose texts were compared, and those that are as similar as is asked."""

    similarity: float
    pairs_found: int
    pairs_compared: int
    pairs_verified: int


class Settled(Record):
    """What the deciding stage counted; ``kept`` is by shard a digest of which documents stay."""

    suites: list[Checked]
    waterfall: Waterfall
    duplicates: Duplicates
    near: NearPairs | None
    warnings: list[str]
    kept: dict[str, str]


class Size(Record):
    """Documents of one label before and after."""

    read_documents: int
    read_bytes: int
    kept_documents: int
    kept_bytes: int


class Length(Record):
    """Documents from so many bytes up to twice as many."""

    from_bytes: int
    read: int
    kept: int


class Example(Record):
    """The beginning of a document that a rule dropped."""

    id: str
    path: str
    text: str


class Card(Record):
    """Numbers and examples for the report; sizes by what and label, examples by rule."""

    format: int
    suites: list[Checked]
    waterfall: Waterfall
    duplicates: Duplicates
    near: NearPairs | None
    warnings: list[str]
    sizes: dict[str, dict[str, Size]]
    lengths: list[Length]
    examples: dict[str, list[Example]]


class Manifest(Record):
    """A finished corpus.

    settings  without those that change nothing of it; signals: the key of every group by its name
    read      documents as read, and what could not be; documents: with repeated lines cut
    shards    the kept documents, edited
    """

    format: int
    name: str
    key: str
    parents: list[ParentRecord]
    settings: dict[str, JsonValue]
    sources: dict[str, SourceRecord]
    signals: dict[str, str]
    cut: Cut
    withheld: dict[str, int]
    suites: list[Checked]
    waterfall: Waterfall
    duplicates: Duplicates
    near: NearPairs | None
    warnings: list[str]
    index: StoredFile
    card: StoredFile
    read: list[StoredFile]
    documents: list[ShardFile]
    shards: list[KeptFile]


class Facts(Named):
    """What prepared data and releases say of a corpus: key, parents, the tests it was searched
    for."""

    parents: list[Named]
    checked_against: list[Checked]
