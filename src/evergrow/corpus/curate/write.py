"""The last stage: the decisions as tables, and the kept documents, edited, in shards."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.corpus.curate.columns import signal_columns
from evergrow.corpus.curate.decide import KEPT, NO_PARTNER, Decided
from evergrow.corpus.curate.known import Known, id_text
from evergrow.corpus.curate.measure import Shard
from evergrow.corpus.curate.units import Done, finish, key_of, write_table
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.signatures import similarities
from evergrow.corpus.edits import edit, withheld
from evergrow.corpus.policies.rule import LANGUAGE_SIGNAL, Rule
from evergrow.corpus.records import StoredFile, Written
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


@dataclass(frozen=True)
class Fate:
    """What became of a document: a row of ``decisions/<shard>.parquet``.

    stage, rule       that dropped it first; of a rule of the policy value and threshold it broke,
                      None where these are words; of a near duplicate how similar it is, and had
                      to be
    partner           the id of the document that it repeats, of another corpus that one's key
    """

    id: str
    keep: bool
    stage: str | None = None
    rule: str | None = None
    value: float | None = None
    threshold: float | None = None
    partner: str | None = None
    partner_corpus: str | None = None


def write_decisions(known: Known, number: int, decided: Decided) -> StoredFile:
    """``decisions/<shard>.parquet``: what became of every document of a shard, and why."""
    shard, columns = known.shards[number], known.columns
    first, last = int(columns.starts[number]), int(columns.starts[number + 1])
    rules = {rule.name: rule for rule in known.judged.rules}
    failed = {decided.reasons[r].rule for r in set(decided.reason_D[first:last].tolist()) - {KEPT}}
    asked = [rule for name, rule in rules.items() if name in failed]
    signals = signal_columns(known.folder, shard, known.keys, asked)
    fates = [fate_of(known, row, decided) for row in range(first, last)]
    for place, fate in enumerate(fates):
        if (rule := rules.get(fate.rule or "")) is not None:
            language = signals[LANGUAGE_SIGNAL][place] if rule.by_language else None
            fates[place] = _broken(fate, rule.within(language), signals[rule.signal][place])
    table = pa.table({n: [getattr(f, n) for f in fates] for n in DECISIONS.names}, DECISIONS)
    return write_table(known.folder, decisions_file(shard), table)


def decisions_file(shard: Shard) -> str:
    """Where it stands what became of the documents of a shard."""
    return f"decisions/{shard.name}.parquet"


def fate_of(known: Known, row: int, decided: Decided) -> Fate:
    """What became of a document, and whom it repeats."""
    columns, earlier = known.columns, known.earlier
    fate = Fate(id_text(columns.ids_D2[row]), keep=True)
    number = int(decided.reason_D[row])
    if number == KEPT:
        return fate
    reason = decided.reasons[number]
    fate = replace(fate, keep=False, stage=reason.stage, rule=reason.rule)
    partner = int(decided.partner_D[row])
    if partner < NO_PARTNER:
        place = -2 - partner
        corpus = earlier.corpora[earlier.corpus_E[place]]
        fate = replace(fate, partner=id_text(earlier.ids_E2[place]), partner_corpus=corpus)
    elif partner != NO_PARTNER:
        fate = replace(fate, partner=id_text(columns.ids_D2[partner]))
    return _alike(fate, known, row, partner) if reason.stage == "near" else fate


def _alike(fate: Fate, known: Known, row: int, partner: int) -> Fate:
    """With how similar a document and its partner are, as it was decided: by their texts, or by the
    signatures where the partner's text is that of an earlier corpus."""
    near, config = known.columns.near, known.config.near
    assert near is not None and config is not None
    if partner > NO_PARTNER:
        first = known.compared.first
        value = known.compared.exact[first + row, first + partner]
    else:
        other_1P = known.earlier.signatures_EP[-2 - partner][None]
        value = float(similarities(near.signatures_DP[row], other_1P)[0])
    return replace(fate, value=value, threshold=config.similarity)


def _broken(fate: Fate, rule: Rule, value: Any) -> Fate:
    """With the value and the threshold it broke; as it is for a rule about words."""
    if rule.allowed is not None:
        return fate
    threshold = rule.low if rule.low is not None and value < rule.low else rule.high
    assert threshold is not None
    return replace(fate, value=float(value), threshold=float(threshold))


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

    def run(self) -> Done[Written]:
        table = pq.read_table(self.folder / self.decisions.name, columns=["keep"])
        keep = table["keep"].to_pylist()
        left_alone: Counter[str] = Counter()
        rows, num_bytes, files = 0, 0, []
        if any(keep):
            name = f"kept/{self.shard.name}.parquet"
            with new_file(self.folder / name) as temporary:
                rows, num_bytes = write_documents(temporary, self._kept(keep, left_alone))
            files = [StoredFile.at(self.folder, name, rows)]
        told = Written(
            source=self.shard.source, documents=rows, bytes=num_bytes, withheld=dict(left_alone)
        )
        return finish(self.folder, self.sidecar, self.key, files, told)

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
