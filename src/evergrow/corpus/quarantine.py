"""Documents that could not be read: kept as records, counted, and bounded."""

from collections import Counter
from typing import NamedTuple, final

from evergrow.errors import InputError

ALLOWED_FRACTION = 0.001  # judgement; so a source of fewer than 1,000 documents allows none
CHECKED_EARLY = 100  # so many bad documents stop a source before its end


class Quarantined(NamedTuple):
    """Where a bad document stands: byte offset in the unpacked file, or row of a Parquet file."""

    path: str
    offset: int
    reason: str


@final
class Quarantine:
    """The bad documents of one source, beside the number of all documents read."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.records: list[Quarantined] = []
        self.num_documents = 0
        self._ways_out: dict[str, str] = {}

    def add(self, path: str, offset: int, reason: str, way_out: str) -> None:
        """Record a bad document. Raises InputError when there are far too many already."""
        self.num_documents += 1
        self.records.append(Quarantined(path, offset, reason))
        self._ways_out[reason] = way_out
        if len(self.records) >= CHECKED_EARLY:
            self.check()

    def check(self) -> None:
        """Raise InputError when more than 0.1 % of the documents read so far are bad."""
        if len(self.records) <= ALLOWED_FRACTION * self.num_documents:
            return
        reason, count = Counter(r.reason for r in self.records).most_common(1)[0]
        first = next(r for r in self.records if r.reason == reason)
        times = "once" if count == 1 else f"{count:,} times"
        raise InputError(
            f"sources.{self.source}: {len(self.records):,} of {self.num_documents:,} documents "
            f"cannot be read, more than 0.1 %; most often ({times}, first at {first.offset:,} "
            f"of {first.path}) because of {reason}; {self._ways_out[reason]}"
        )
