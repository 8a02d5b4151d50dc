"""evergrow's signals and policies over the same documents."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curation.jobs import read_texts, serve
from evergrow.corpus.document import Document
from evergrow.corpus.policies.presets import PRESETS
from evergrow.corpus.policies.rule import Rule, judge
from evergrow.corpus.signals import GROUPS, measure_documents
from evergrow.corpus.signals.c4 import count_lines, judged_lines
from evergrow.corpus.words import Words, split_words, words_of

COMPARED = ("gopher", "c4", "fineweb")


def groups_of(rules: Sequence[Rule]) -> list[str]:
    """The signal groups that the rules look at, and the one that knows prose from code."""
    return sorted({rule.signal.partition(".")[0] for rule in rules} | {"programming"})


def time_preset(order: dict[str, Any]) -> dict[str, Any]:
    """CPU seconds of all signals of a preset and its policy, tables included."""
    texts = list(read_texts(order["documents"]))
    rules = PRESETS[order["preset"]]
    groups = [GROUPS[name] for name in groups_of(rules)]
    begun = time.process_time()
    documents = [Document(t, "s", "p", str(i), str(i), "") for i, t in enumerate(texts)]
    tables = measure_documents(documents, groups)
    columns = {
        f"{name}.{field}": table[field].to_numpy()
        for name, table in tables.items()
        for field in table.column_names
    }
    kept = int((~judge(columns, rules).any(axis=1)).sum())
    return {"cpu_seconds": time.process_time() - begun, "kept": kept}


@dataclass(frozen=True)
class Splitting:
    """The words of a document, and of its lines for C4."""

    words: Words
    lines: list[list[str]] | None = None  # None: split by ourselves

    def signals(self, name: str, document: Document) -> tuple[Any, ...]:
        if name != "c4" or self.lines is None:
            return GROUPS[name].compute(document, self.words)
        judged = [line.verdict == "kept" for line in judged_lines(document.text)]
        kept = [words for words, is_kept in zip(self.lines, judged, strict=True) if is_kept]
        joined = words_of("", [word for words in kept for word in words])
        return count_lines(document.text, lambda _: (joined, np.array(list(map(len, kept)))))


def failed_rules(documents: list[Document], splittings: list[Splitting]) -> list[list[str]]:
    """For every document the names of the rules of the compared presets that it fails."""
    rules = [rule for preset in COMPARED for rule in PRESETS[preset]]
    columns = {}
    for name in groups_of(rules):
        rows = [s.signals(name, d) for d, s in zip(documents, splittings, strict=True)]
        for field, values in zip(GROUPS[name].fields, zip(*rows, strict=True), strict=True):
            columns[f"{name}.{field}"] = np.array(values)
    fails_DR = judge(columns, rules)
    return [[r.name for r, f in zip(rules, row, strict=True) if f] for row in fails_DR.tolist()]


def decide(order: dict[str, Any]) -> dict[str, Any]:
    """For every document the rules it fails: with our own words, and with those given."""
    documents = [Document(t, "s", "p", "0", "0", "") for t in read_texts(order["documents"])]
    ours = [Splitting(split_words(d.text)) for d in documents]
    given = []
    with Path(order["words"]).open(encoding="utf-8") as file:
        for document, line in zip(documents, file, strict=True):
            record = json.loads(line)
            given.append(Splitting(words_of(document.text, record["words"]), record["lines"]))
    with Path(order["output"]).open("w", encoding="utf-8") as output:
        pairs = zip(failed_rules(documents, ours), failed_rules(documents, given), strict=True)
        for (own, theirs), splitting in zip(pairs, ours, strict=True):
            record = {"own": own, "given": theirs, "words": splitting.words.words}
            output.write(json.dumps(record) + "\n")
    return {}


if __name__ == "__main__":
    serve({"time": time_preset, "decide": decide})
