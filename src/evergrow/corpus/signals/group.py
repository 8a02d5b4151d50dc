"""A versioned group of signal columns, computed from one document and its words."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
from blake3 import blake3

from evergrow.corpus.document import Document
from evergrow.corpus.words import Words


@dataclass(frozen=True)
class SignalGroup:
    """Columns that belong together.

    version     raised by hand when the same text would give other values
    fields      column name to its type; a policy speaks of ``<group>.<field>``
    compute     one value a field, in the fields' order
    parameters  what else decides the values, as JSON: permutations, digests of suites
    """

    name: str
    version: int
    fields: Mapping[str, pa.DataType]
    compute: Callable[[Document, Words], tuple[Any, ...]]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """``<name>@<12 hex digits>`` of version, fields and parameters."""
        fields = {name: str(kind) for name, kind in self.fields.items()}
        what = json.dumps([self.version, fields, self.parameters], sort_keys=True)
        return f"{self.name}@{blake3(what.encode()).hexdigest(6)}"

    @property
    def schema(self) -> pa.Schema:
        """The columns of this group's table: the document's id, then the fields."""
        return pa.schema([("id", pa.string()), *self.fields.items()])
