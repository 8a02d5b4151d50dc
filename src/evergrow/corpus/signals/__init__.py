"""Signals: columns of numbers about a document, computed once and judged as often as one likes."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from evergrow.corpus.document import Document
from evergrow.corpus.signals.c4 import C4
from evergrow.corpus.signals.code import CODE
from evergrow.corpus.signals.dclm import DCLM
from evergrow.corpus.signals.fineweb import FINEWEB
from evergrow.corpus.signals.group import SignalGroup
from evergrow.corpus.signals.language import LANGUAGE
from evergrow.corpus.signals.olmo2 import OLMO2
from evergrow.corpus.signals.personal import PERSONAL
from evergrow.corpus.signals.programming import PROGRAMMING
from evergrow.corpus.signals.repetition import REPETITION
from evergrow.corpus.signals.shape import SHAPE
from evergrow.corpus.words import split_words

GROUPS = {
    group.name: group
    for group in (
        SHAPE,
        REPETITION,
        C4,
        FINEWEB,
        DCLM,
        OLMO2,
        CODE,
        LANGUAGE,
        PROGRAMMING,
        PERSONAL,
    )
}


def measure_documents(
    documents: Sequence[Document], groups: Sequence[SignalGroup]
) -> dict[str, pa.Table]:
    """By group name a table: column ``id`` and the fields, a row a document in order.

    Each document is split into words once.
    """
    rows: list[list[tuple[Any, ...]]] = [[] for _ in groups]
    for document in documents:
        words = split_words(document.text)
        for group, found in zip(groups, rows, strict=True):
            found.append((document.id, *group.compute(document, words)))
    return {g.name: _table(g, found) for g, found in zip(groups, rows, strict=True)}


def _table(group: SignalGroup, rows: list[tuple[Any, ...]]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(group.schema)
    arrays = [pa.array(c, f.type) for c, f in zip(columns, group.schema, strict=True)]
    return pa.table(arrays, schema=group.schema)
