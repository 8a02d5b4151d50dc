"""What a corpus says of the tests it was compared with: an evaluation can ask its training data."""

from collections.abc import Iterable, Sequence

from evergrow.corpus.contamination.overlap import hits_in, parts
from evergrow.corpus.contamination.suites import Suite
from evergrow.corpus.records import Checked


def checked(suites: Sequence[Suite], hits: Iterable[str | None], n: int = 13) -> list[Checked]:
    """The record of each suite, from the column ``hits`` of all documents of a corpus."""
    items: dict[str, set[str]] = {suite.name: set() for suite in suites}
    documents = dict.fromkeys(items, 0)
    for found in hits:
        by_suite: dict[str, set[str]] = {}
        for hit in hits_in(found):
            by_suite.setdefault(hit.suite, set()).add(hit.item)
        for name, of_document in by_suite.items():
            items[name] |= of_document
            documents[name] += 1
    return [
        Checked(
            suite=suite.name,
            digest=suite.digest,
            num_items=len(suite.items),
            num_unchecked=len(unchecked(suite, n)),
            num_items_found=len(items[suite.name]),
            num_documents=documents[suite.name],
        )
        for suite in suites
    ]


def unchecked(suite: Suite, n: int = 13) -> list[str]:
    """The ids of the items of which neither prompt nor solution can be compared."""
    compared = {part.item for part in parts(suite, n)}
    return [item.id for item in suite.items if item.id not in compared]
