"""The last stage: the decisions as tables, and the kept documents, edited, in shards."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.curate.columns import signal_columns
from evergrow.corpus.curate.decide import KEPT, NO_PARTNER, Decided
from evergrow.corpus.curate.known import Known, id_text
from evergrow.corpus.curate.measure import Shard
from evergrow.corpus.curate.units import Done, StoredFile, finish, key_of, write_table
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.signatures import similarities
from evergrow.corpus.edits import edit, withheld
from evergrow.corpus.policies.rule import LANGUAGE_SIGNAL, Rule
from evergrow.corpus.table import stored_documents, write_documents
from evergrow.disk import new_file
from evergrow.errors import EvergrowError

DECISIONS = pa.schema(
    [
        ("id", pa.string()),
        ("keep", pa.bool_()),
        ("stage", pa.string()),
        ("rule", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("partner", pa.string()),
        ("partner_corpus", pa.string()),
    ]
)


def write_decisions(known: Known, number: int, decided: Decided) -> StoredFile:
    """``decisions/<shard>.parquet``: what became of every document of a shard, and why.

    Of a rule of the policy the value and the threshold it broke, null where these are words; of a
    near duplicate how similar it is, and had to be.
    """
    shard, columns = known.shards[number], known.columns
    first, last = int(columns.starts[number]), int(columns.starts[number + 1])
    rules = {rule.name: rule for rule in known.judged.rules}
    failed = {decided.reasons[r].rule for r in set(decided.reason_D[first:last].tolist()) - {KEPT}}
    asked = [rule for name, rule in rules.items() if name in failed]
    signals = signal_columns(known.folder, shard, known.keys, asked)
    rows = [told_of(known, row, decided) for row in range(first, last)]
    for place, told in enumerate(rows):
        if (rule := rules.get(told.get("rule", ""))) is not None:
            language = signals[LANGUAGE_SIGNAL][place] if rule.by_language else None
            told |= broken(rule.within(language), signals[rule.signal][place])
    table = pa.Table.from_pylist(rows, schema=DECISIONS)
    return write_table(known.folder, f"decisions/{shard.name}.parquet", table)


def told_of(known: Known, row: int, decided: Decided) -> dict[str, Any]:
    """What became of a document, and whom it repeats, as a row of a decision table."""
    columns, earlier = known.columns, known.earlier
    told: dict[str, Any] = {"id": id_text(columns.ids_D2[row]), "keep": True}
    number = int(decided.reason_D[row])
    if number == KEPT:
        return told
    reason = decided.reasons[number]
    told |= {"keep": False, "stage": reason.stage, "rule": reason.rule}
    partner = int(decided.partner_D[row])
    if partner < NO_PARTNER:
        place = -2 - partner
        corpus = earlier.corpora[earlier.corpus_E[place]]
        told |= {"partner": id_text(earlier.ids_E2[place]), "partner_corpus": corpus}
    elif partner != NO_PARTNER:
        told["partner"] = id_text(columns.ids_D2[partner])
    if reason.stage == "near":
        told |= _alike(known, row, partner)
    return told


def _alike(known: Known, row: int, partner: int) -> dict[str, float]:
    """How similar a document and its partner are, as it was decided: by their texts, or by the
    signatures where the partner's text is that of an earlier corpus."""
    near, config = known.columns.near, known.config.near
    assert near is not None and config is not None
    if partner > NO_PARTNER:
        first = known.compared.first
        value = known.compared.exact[first + row, first + partner]
    else:
        other_1P = known.earlier.signatures_EP[-2 - partner][None]
        value = float(similarities(near.signatures_DP[row], other_1P)[0])
    return {"value": value, "threshold": config.similarity}


def broken(rule: Rule, value: Any) -> dict[str, float]:
    """The value and the threshold it broke; nothing for a rule about words."""
    if rule.allowed is not None:
        return {}
    threshold = rule.low if rule.low is not None and value < rule.low else rule.high
    assert threshold is not None
    return {"value": float(value), "threshold": float(threshold)}


@dataclass(frozen=True)
class Write:
    """The kept documents of one shard, edited: ``kept/<shard>.parquet``, absent when all went.

    ``kept`` is a digest of which stay: a rule that drops others for the same fate changes nothing.
    """

    folder: Path
    shard: Shard
    decisions: StoredFile
    kept: str
    edits: tuple[str, ...]
    facts_key: str

    @property
    def label(self) -> str:
        return f"{self.folder}: writing {self.shard.name}"

    @property
    def sidecar(self) -> str:
        return f"kept/{self.shard.name}.json"

    @property
    def key(self) -> str:
        """Of the text, of which documents stay, and of the edits with their version."""
        return key_of("write", self.shard.text.blake3, self.kept, self.facts_key)

    def run(self) -> Done:
        table = pq.read_table(self.folder / self.decisions.name, columns=["keep"])
        keep = table["keep"].to_pylist()
        counts: dict[str, Any] = {"source": self.shard.source, "documents": 0, "bytes": 0}
        left_alone: Counter[str] = Counter()
        if not any(keep):
            return finish(self.folder, self.sidecar, self.key, [], counts | {"withheld": {}})
        name = f"kept/{self.shard.name}.parquet"
        with new_file(self.folder / name) as temporary:
            rows, num_bytes = write_documents(temporary, self._kept(keep, left_alone))
        counts |= {"documents": rows, "bytes": num_bytes, "withheld": left_alone}
        stored = StoredFile.at(self.folder, name, rows)
        return finish(self.folder, self.sidecar, self.key, [stored], counts)

    def _kept(self, keep: Sequence[bool], left_alone: Counter[str]) -> Iterator[Document]:
        """The kept documents; ``left_alone`` counts by edit those that it is not for."""
        documents = stored_documents(self.folder / self.shard.text.name)
        for document, stays in zip(documents, keep, strict=True):
            if stays:
                kept, _ = edit(document, self.edits)
                left_alone.update(withheld(document, self.edits))
                if not kept.text.strip():
                    raise EvergrowError(
                        f"{self.folder}: document {kept.id} is empty after its edits, but its "
                        f"signals say otherwise; delete {self.folder / 'signals'} and curate again"
                    )
                yield kept
