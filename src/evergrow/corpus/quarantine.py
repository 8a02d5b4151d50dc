"""What was wrong with a source: bad documents are kept as records, counted, and bounded."""

from collections import Counter
from dataclasses import dataclass
from datetime import date as Date
from typing import final

from evergrow.errors import InputError

MAX_BAD = 0.001  # judgement; so a source of fewer than 1,000 documents allows none
CHECKED_EARLY = 100  # so many bad documents stop a source before its end
HEAD_BYTES = 200
FLAGGED_KEPT = 20  # records a reason; the others are only counted


@dataclass(frozen=True)
class Quarantined:
    """Where a bad document stands: byte offset in the unpacked file, or row of a Parquet file.

    head       its first 200 bytes, what is not UTF-8 written as ``\\xff``
    num_bytes  the size of what was left out where it was too large to be read, else 0
    """

    path: str
    offset: int
    reason: str
    source: str
    head: str = ""
    num_bytes: int = 0


@final
class Quarantine:
    """What is refused, flagged and skipped in one source, beside the number of documents read.

    records  the bad documents; more than ``max_bad`` of all of them stop the reading
    flags    documents that are kept without something they claimed (a date in the future), counted
             by reason; ``flagged`` holds the first 20 of each
    skipped  what is no document and no fault, counted by kind: pictures, symbolic links

    ``today`` decides which dates are in the future; None for those that no data can have.
    """

    def __init__(self, source: str, max_bad: float = MAX_BAD, today: Date | None = None) -> None:
        self.source = source
        self.max_bad = max_bad
        self.today = today
        self.records: list[Quarantined] = []
        self.num_documents = 0
        self.flags: Counter[str] = Counter()
        self.flagged: list[Quarantined] = []
        self.skipped: Counter[str] = Counter()
        self._ways_out: dict[str, str] = {}

    def add(
        self,
        path: str,
        offset: int,
        reason: str,
        way_out: str,
        head: bytes = b"",
        num_bytes: int = 0,
    ) -> None:
        """Record a bad document. Raises InputError when there are far too many already."""
        self.num_documents += 1
        self.records.append(
            Quarantined(path, offset, reason, self.source, _readable(head), num_bytes)
        )
        self._ways_out[reason] = way_out
        if len(self.records) >= CHECKED_EARLY:
            self.check()

    def flag(self, path: str, offset: int, reason: str, what: str) -> None:
        """Count a document that is kept, but without ``what`` it claimed."""
        self.flags[reason] += 1
        if self.flags[reason] <= FLAGGED_KEPT:
            head = _readable(what.encode(errors="backslashreplace"))
            self.flagged.append(Quarantined(path, offset, reason, self.source, head))

    @property
    def reasons(self) -> Counter[str]:
        """How many bad documents there are of each."""
        return Counter(record.reason for record in self.records)

    def check(self) -> None:
        """Raise InputError when more than ``max_bad`` of the documents read so far are bad."""
        if len(self.records) <= self.max_bad * self.num_documents:
            return
        reason, count = self.reasons.most_common(1)[0]
        first = next(r for r in self.records if r.reason == reason)
        times = "once" if count == 1 else f"{count:,} times"
        raise InputError(
            f"sources.{self.source}: {len(self.records):,} of {self.num_documents:,} documents "
            f"cannot be read, more than {100 * self.max_bad:g} %; most often ({times}, first at "
            f"{first.offset:,} of {first.path}) because of {reason}; {self._ways_out[reason]}"
        )


def _readable(head: bytes) -> str:
    return head[:HEAD_BYTES].decode(errors="backslashreplace")
