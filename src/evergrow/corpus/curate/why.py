"""Why a document is in a corpus or not: every rule, partner, hit and edit, for kept and dropped."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evergrow.corpus.contamination import Hit, hits_in
from evergrow.corpus.curate.card import excerpt
from evergrow.corpus.curate.columns import signal_columns
from evergrow.corpus.curate.corpus import Corpus
from evergrow.corpus.curate.find import (
    Place,
    Unread,
    document_at,
    fate_at,
    find_documents,
    quarantined,
)
from evergrow.corpus.curate.measure import (
    CONTAMINATION,
    FACTS,
    MINHASH,
    all_rules,
    read_signals,
)
from evergrow.corpus.curate.partners import Partner, Repeat, partner_of, repeats_of
from evergrow.corpus.curate.trace import Elsewhere, InCorpus, InRun, Looked, Shelves
from evergrow.corpus.curate.write import Fate
from evergrow.corpus.edits import Edit, edit
from evergrow.corpus.policies.rule import DOMAIN_SIGNAL, LANGUAGE_SIGNAL, Rule, judge
from evergrow.errors import InputError

HIDDEN = (FACTS, MINHASH, CONTAMINATION)  # groups whose columns are told of in other words


@dataclass(frozen=True)
class RuleTold:
    """What a rule says of a document: it fails, passes, or the rule is silent about its domain."""

    rule: str
    signal: str
    value: float | str | None
    low: float | None
    high: float | None
    allowed: tuple[str, ...] | None
    verdict: str
    reason: str


@dataclass(frozen=True)
class Told:
    """All that decided about a document, and where it went.

    bytes    as read, as is ``excerpt``; edits: in the text without the lines that were ``cut``
    signals  all that were measured, by ``<group>.<field>``
    """

    id: str
    source: str
    path: str
    key: str
    date: str | None
    date_kind: str | None
    license: str | None
    repository: str | None
    parent: str | None
    bytes: int
    excerpt: str
    decision: Fate
    rules: list[RuleTold]
    signals: dict[str, float | str | None]
    duplicate: Partner | None
    repeated_by: list[Repeat]
    contamination: list[Hit]
    cut: list[str]
    edits: list[Edit]
    corpora: list[InCorpus]
    runs: list[InRun]


@dataclass(frozen=True)
class Answer:
    """What is known of what somebody named.

    documents  one each: a long text was cut into several parts
    elsewhere  documents that the corpus does not know and others or data still hold
    looked     where that was asked
    """

    corpus: str
    key: str
    documents: list[Told]
    quarantined: list[Unread]
    elsewhere: list[Elsewhere]
    looked: Looked


def why(corpus: Corpus, wanted: str, runs: Path) -> Answer:
    """All that decided about a document, named by id, beginning of an id, key or path.

    Others are looked for below ``runs``. Raises InputError when nobody knows it, and when the
    corpus changed since it was finished.
    """
    places, bad = find_documents(corpus, wanted), quarantined(corpus, wanted)
    shelves = Shelves.below(runs, corpus)
    documents = [_told(corpus, place, shelves) for place in places]
    elsewhere = [] if places else shelves.find(wanted)
    looked = shelves.told()
    if not documents and not bad and not elsewhere:
        raise _unknown(corpus, wanted, looked)
    return Answer(corpus.manifest.name, corpus.key, documents, bad, elsewhere, looked)


def _unknown(corpus: Corpus, wanted: str, looked: Looked) -> InputError:
    bad = looked.unreadable
    but = f", but {len(bad)} could not be looked at, such as {bad[0].path}" if bad else ""
    paths = (file.path for source in corpus.manifest.sources.values() for file in source.files)
    return InputError(
        f"{corpus.folder}: no document has the id, key or path {wanted!r}, and none that could "
        f"not be read; nor is it in {looked.corpora} corpora and the data of {looked.runs} "
        f"runs below {looked.folder}{but}; give a path as the sources name it, such as "
        f"{next(paths, 'notes/today.md')}"
    )


def _told(corpus: Corpus, place: Place, shelves: Shelves) -> Told:
    document, as_read = document_at(corpus, place), document_at(corpus, place, cut=False)
    fate = fate_at(corpus, place)
    kept, edits = edit(document, corpus.config.policy.edits)
    texts = {as_read.content_hash, document.content_hash, kept.content_hash}
    corpora, runs = shelves.trace(place.id, texts)
    return Told(
        id=place.id,
        source=as_read.source,
        path=as_read.path,
        key=as_read.key,
        date=as_read.date,
        date_kind=as_read.date_kind,
        license=as_read.license,
        repository=as_read.repository,
        parent=as_read.parent,
        bytes=as_read.num_bytes,
        excerpt=excerpt(as_read),
        decision=fate,
        rules=_rules(corpus, place),
        signals=_signals(corpus, place),
        duplicate=partner_of(corpus, place, fate),
        repeated_by=repeats_of(corpus, place),
        contamination=_hits(corpus, place),
        cut=list(_gone(as_read.text.split("\n"), document.text.split("\n"))),
        edits=edits,
        corpora=corpora,
        runs=runs,
    )


def _rules(corpus: Corpus, place: Place) -> list[RuleTold]:
    """Every rule with its value, and the thresholds that it has for the document's language."""
    rules = all_rules(corpus.config)
    columns = signal_columns(corpus.folder, place.shard, corpus.manifest.signals, rules)
    row = {name: values[place.row : place.row + 1] for name, values in columns.items()}
    fails_1R = judge(row, rules)
    language = row.get(LANGUAGE_SIGNAL, [None])[0]
    return [
        RuleTold(
            rule=rule.name,
            signal=rule.signal,
            value=_plain(row[rule.signal][0]),
            low=rule.low,
            high=_plain(rule.high),
            allowed=rule.allowed,
            verdict=_verdict(rule, bool(fails_1R[0, number]), row),
            reason=rule.told(),
        )
        for number, rule in enumerate(rule.within(language) for rule in rules)
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


def _signals(corpus: Corpus, place: Place) -> dict[str, float | str | None]:
    """Every signal that was measured, by ``<group>.<field>``."""
    return {
        f"{group}.{name}": _plain(value)
        for group, key in corpus.manifest.signals.items()
        if group not in HIDDEN
        for name, value in _row_of(corpus, key, place).items()
        if name != "id"
    }


def _row_of(corpus: Corpus, key: str, place: Place) -> Mapping[str, Any]:
    table = read_signals(corpus.folder, key, place.shard.name)
    return table.slice(place.row, 1).to_pylist()[0]


def _hits(corpus: Corpus, place: Place) -> list[Hit]:
    key = corpus.manifest.signals.get(CONTAMINATION)
    return hits_in(_row_of(corpus, key, place)["hits"]) if key else []


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
