"""Why a document is in a corpus or not: every rule, partner, hit and edit, for kept and dropped."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evergrow.config import nearest
from evergrow.corpus.curate.card import excerpt
from evergrow.corpus.curate.columns import signal_columns
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.find import (
    Place,
    decision_at,
    decision_file,
    document_at,
    find_documents,
    quarantined,
)
from evergrow.corpus.curate.measure import (
    CONTAMINATION,
    FACTS,
    MINHASH,
    Shard,
    all_rules,
    read_signals,
)
from evergrow.corpus.curate.trace import Shelves
from evergrow.corpus.curate.whole import decided_files, refuse_changed
from evergrow.corpus.document import Document
from evergrow.corpus.duplicates.signatures import jaccard, shingles
from evergrow.corpus.edits import edit
from evergrow.corpus.policies.rule import DOMAIN_SIGNAL, LANGUAGE_SIGNAL, Rule, judge
from evergrow.errors import InputError

HIDDEN = (FACTS, MINHASH, CONTAMINATION)  # groups whose columns are told of in other words


def why(corpus: Corpus, wanted: str, runs: Path) -> dict[str, Any]:
    """All that decided about a document, named by id, beginning of an id, key or path.

    ``documents`` holds one record each (a long text was cut into several parts), ``quarantined``
    what could not be read there, ``elsewhere`` documents that this corpus does not know and others
    or data below ``runs`` still hold, ``looked`` where that was asked. Raises InputError when
    nobody knows it, and when the corpus changed since it was finished.
    """
    places, bad = find_documents(corpus, wanted), quarantined(corpus, wanted)
    shelves = Shelves.below(runs, corpus)
    documents = [_told(corpus, place, shelves) for place in places]
    elsewhere = [] if places else shelves.find(wanted)
    looked = shelves.told()
    if not documents and not bad and not elsewhere:
        raise _unknown(corpus, wanted, looked)
    return {
        "corpus": corpus.manifest["name"],
        "key": corpus.key,
        "documents": documents,
        "quarantined": bad,
        "elsewhere": elsewhere,
        "looked": looked,
    }


def _unknown(corpus: Corpus, wanted: str, looked: Mapping[str, Any]) -> InputError:
    bad = looked["unreadable"]
    but = f", but {len(bad)} could not be looked at, such as {bad[0]['path']}" if bad else ""
    return InputError(
        f"{corpus.folder}: no document has the id, key or path {wanted!r}, and none that could "
        f"not be read; nor is it in {looked['corpora']} corpora and the data of {looked['runs']} "
        f"runs below {looked['folder']}{but}; give a path as the sources name it, such as "
        f"{_a_path(corpus)}"
    )


def _a_path(corpus: Corpus) -> str:
    files = [f for source in corpus.manifest["sources"].values() for f in source["files"]]
    return files[0]["path"] if files else "notes/today.md"


def dropped_by(corpus: Corpus, rule: str, limit: int) -> dict[str, Any]:
    """The documents that a rule dropped first, in the order of the corpus.

    ``num_documents`` counts them all; ``documents`` holds a record each of at most ``limit``: id,
    source, path, key, the value and the threshold it broke, and the partner of a repeat. Raises
    InputError for a rule that the corpus did not ask, and when it changed since it was finished.
    """
    asked = [step["rule"] for step in corpus.manifest["waterfall"]["steps"]]
    if rule not in asked:
        raise InputError(
            f"{corpus.folder}: no rule of this corpus is called {rule!r}; "
            f"{nearest(rule, asked, 'rules')}"
        )
    refuse_changed(corpus, decided_files(corpus), quick=True)
    documents: list[dict[str, Any]] = []
    num_documents = 0
    for shard in corpus.shards:
        decisions = pq.read_table(corpus.folder / decision_file(shard))
        rows = np.flatnonzero([one == rule for one in decisions["rule"].to_pylist()])
        num_documents += len(rows)
        documents += _listed(corpus, shard, decisions, rows[: limit - len(documents)])
    return {"rule": rule, "num_documents": num_documents, "documents": documents}


def _listed(
    corpus: Corpus, shard: Shard, decisions: pa.Table, rows: np.ndarray
) -> list[dict[str, Any]]:
    """What is told of some documents of a shard at once."""
    if not len(rows):
        return []
    refuse_changed(corpus, [shard.text], quick=True)
    origin = pq.read_table(corpus.folder / shard.text.name, columns=["source", "path", "key"])
    fate = decisions.select(["id", "value", "threshold", "partner"]).take(rows).to_pylist()
    return [one | of for one, of in zip(fate, origin.take(rows).to_pylist(), strict=True)]


def _told(corpus: Corpus, place: Place, shelves: Shelves) -> dict[str, Any]:
    document, as_read = document_at(corpus, place), document_at(corpus, place, cut=False)
    decision = decision_at(corpus, place)
    kept, edits = edit(document, corpus.config.policy.edits)
    return {
        "id": place.id,
        **{n: getattr(as_read, n) for n in ("source", "path", "key", "date", "date_kind")},
        **{n: getattr(as_read, n) for n in ("license", "repository", "parent")},
        "bytes": as_read.num_bytes,
        "excerpt": excerpt(as_read),
        "decision": decision,
        "rules": _rules(corpus, place),
        "signals": _signals(corpus, place),
        "duplicate": _duplicate(corpus, place, decision),
        "repeated_by": _repeated_by(corpus, place),
        "contamination": _hits(corpus, place),
        "cut": _cut(as_read, document),
        "edits": [
            {"kind": e.kind, "start": e.start, "end": e.end, "replacement": e.replacement}
            for e in edits
        ],
        **shelves.trace(place.id, {as_read.content_hash, document.content_hash, kept.content_hash}),
    }


def _rules(corpus: Corpus, place: Place) -> list[dict[str, Any]]:
    """Every rule with its value and thresholds: failed, passed, or silent about this domain."""
    rules = all_rules(corpus.config)
    columns = signal_columns(corpus.folder, place.shard, corpus.manifest["signals"], rules)
    row = {name: values[place.row : place.row + 1] for name, values in columns.items()}
    fails_1R = judge(row, rules)
    language = row.get(LANGUAGE_SIGNAL, [None])[0]
    asked = [rule.within(language) for rule in rules]
    return [
        {
            "rule": rule.name,
            "signal": rule.signal,
            "value": _plain(row[rule.signal][0]),
            "low": rule.low,
            "high": _plain(rule.high),
            "allowed": rule.allowed,
            "verdict": _verdict(rule, bool(fails_1R[0, number]), row),
            "reason": rule.told(),
        }
        for number, rule in enumerate(asked)
    ]


def _verdict(rule: Rule, fails: bool, row: Mapping[str, Any]) -> str:
    if fails:
        return "fails"
    silent = rule.domain != "any" and row[DOMAIN_SIGNAL][0] != rule.domain
    return "silent" if silent else "passes"


def _plain(value: Any) -> Any:
    """A value of an array as JSON has it; unknown and boundless numbers are null."""
    plain = value.item() if isinstance(value, np.generic) else value
    return None if plain != plain or plain == math.inf else plain


def _signals(corpus: Corpus, place: Place) -> dict[str, Any]:
    """Every signal that was measured, by ``<group>.<field>``."""
    return {
        f"{group}.{name}": _plain(value)
        for group, key in corpus.manifest["signals"].items()
        if group not in HIDDEN
        for name, value in _row_of(corpus, key, place).items()
        if name != "id"
    }


def _row_of(corpus: Corpus, key: str, place: Place) -> dict[str, Any]:
    table = read_signals(corpus.folder, key, place.shard.name)
    return table.slice(place.row, 1).to_pylist()[0]


def _duplicate(corpus: Corpus, place: Place, decision: Mapping[str, Any]) -> dict[str, Any] | None:
    """The document that this one repeats, how alike they are, and what became of that one."""
    if decision["partner"] is None:
        return None
    key = decision["partner_corpus"]
    home = corpus if key is None else _corpus_of(corpus, key)
    told = {"id": decision["partner"], "corpus": key or corpus.key}
    told |= {
        "path": None,
        "key": None,
        "source": None,
        "kept": None,
        "rule": None,
        "similarity": None,
    }
    places = find_documents(home, decision["partner"]) if home else []
    if home is None or not places:
        return told
    partner, fate = document_at(home, places[0]), decision_at(home, places[0])
    told |= {"path": partner.path, "key": partner.key, "source": partner.source}
    told |= {"kept": fate["keep"], "rule": fate["rule"]}
    return told | {"similarity": _similarity(corpus, place, home, places, decision["stage"])}


def _corpus_of(corpus: Corpus, key: str) -> Corpus | None:
    """The corpus of this key among the parents and theirs; None when it is not there any more."""
    for parent in corpus.parents:
        if (parent.folder / "corpus.json").exists():
            other = Corpus.open(parent.folder)
            if (found := other if other.key == key else _corpus_of(other, key)) is not None:
                return found
    return None


def _similarity(
    corpus: Corpus, place: Place, home: Corpus, places: list[Place], stage: str
) -> float:
    """1 for the same text, else the share of shingles that both texts have, of the best part."""
    near = corpus.config.near
    if stage == "exact" or near is None:
        return 1.0
    mine, *theirs = (
        shingles(document_at(where, p).text, near.shingle)
        for where, p in [(corpus, place), *((home, p) for p in places)]
    )
    return max(jaccard(mine, other) for other in theirs)


def _repeated_by(corpus: Corpus, place: Place) -> list[dict[str, str]]:
    """The documents of the same corpus that were dropped because of this one."""
    found = []
    refuse_changed(corpus, decided_files(corpus), quick=True)
    for shard in corpus.shards:
        table = pq.read_table(
            corpus.folder / decision_file(shard),
            columns=["id", "stage", "partner_corpus"],
            filters=[("partner", "==", place.id)],
        )
        rows = (row for row in table.to_pylist() if row["partner_corpus"] is None)
        found += [{"id": row["id"], "stage": row["stage"]} for row in rows]
    return found


def _hits(corpus: Corpus, place: Place) -> list[dict[str, Any]]:
    key = corpus.manifest["signals"].get(CONTAMINATION)
    found = _row_of(corpus, key, place)["hits"] if key else None
    return json.loads(found) if found else []


def _cut(as_read: Document, document: Document) -> list[str]:
    """The lines that were cut because they, or their paragraph, occurred before."""
    return list(_gone(as_read.text.split("\n"), document.text.split("\n")))


def _gone(before: list[str], after: list[str]) -> Iterator[str]:
    """The lines of ``before`` that ``after``, which has the rest in the same order, lacks.

    White space does not count.
    """
    stays = (said for line in after if (said := line.strip()))
    following = next(stays, None)
    for line in before:
        said = line.strip()
        if said and said == following:
            following = next(stays, None)
        elif said:
            yield line
