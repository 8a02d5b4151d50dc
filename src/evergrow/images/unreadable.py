"""Pictures that could not be read or must not be: kept as records, counted, and bounded."""

from collections import Counter
from typing import NamedTuple

from evergrow.errors import InputError


class Unreadable(NamedTuple):
    """A file (and the row in it) that gives no picture, the rule it breaks, and the way out.

    names   what the file's name may spell of a person; None when its header could not be read, so
            that nobody can say
    num_pictures   how many it stands for: the frames of a file of several
    """

    path: str
    row: int
    reason: str
    way_out: str
    names: tuple[str, ...] | None = ()
    num_pictures: int = 1


def refuse_too_many(records: list[Unreadable], num_read: int, max_bad: float, source: str) -> None:
    """Raise InputError when more than ``max_bad`` of all pictures cannot be read."""
    num_bad = sum(record.num_pictures for record in records)
    total = num_read + num_bad
    if num_bad <= max_bad * total:
        return
    reason, count = Counter(record.reason for record in records).most_common(1)[0]
    first = next(record for record in records if record.reason == reason)
    times = "once" if count == 1 else f"{count:,} times"
    raise InputError(
        f"sources.{source}: {num_bad:,} of {total:,} pictures cannot be read, more than "
        f"{max_bad:.1%}; most often ({times}, first {first.path}) because of {reason}; "
        f"{first.way_out}"
    )
