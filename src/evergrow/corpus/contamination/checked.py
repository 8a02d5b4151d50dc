"""What a corpus says of the tests it was compared with: an evaluation can ask its training data."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from evergrow.corpus.contamination.overlap import parts
from evergrow.corpus.contamination.suites import Suite


@dataclass(frozen=True)
class Checked:
    """One suite that a corpus was compared with.

    num_unchecked  items that are too short, or too much like the others, to be compared at all
    num_items_found, num_documents  the items that documents hold, and the documents that hold one
    """

    suite: str
    digest: str
    num_items: int
    num_unchecked: int
    num_items_found: int
    num_documents: int


def checked(suites: Sequence[Suite], hits: Iterable[str | None], n: int = 13) -> list[Checked]:
    """The record of each suite, from the column ``hits`` of all documents of a corpus."""
    items: dict[str, set[str]] = {suite.name: set() for suite in suites}
    documents = dict.fromkeys(items, 0)
    for found in hits:
        by_suite: dict[str, set[str]] = {}
        for hit in json.loads(found) if found else ():
            by_suite.setdefault(hit["suite"], set()).add(hit["item"])
        for name, of_document in by_suite.items():
            items[name] |= of_document
            documents[name] += 1
    return [
        Checked(
            suite.name,
            suite.digest,
            len(suite.items),
            len(unchecked(suite, n)),
            len(items[suite.name]),
            documents[suite.name],
        )
        for suite in suites
    ]


def unchecked(suite: Suite, n: int = 13) -> list[str]:
    """The ids of the items of which neither prompt nor solution can be compared."""
    compared = {part.item for part in parts(suite, n)}
    return [item.id for item in suite.items if item.id not in compared]
