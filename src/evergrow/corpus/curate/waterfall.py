"""How much every rule dropped, counted from decisions, in the order in which they are asked."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from evergrow.corpus.curate.columns import Columns
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.decide import KEPT, Decided
from evergrow.corpus.duplicates.clusters import between_sources
from evergrow.errors import InputError


def waterfall(columns: Columns, decided: Decided) -> dict[str, Any]:
    """What was read, what each rule dropped first, and what was kept; documents and bytes.

    Bytes of the dropped are as read, of the kept as read and after edits. A rule's ``any`` counts
    say how much it would drop if it were asked first.
    """
    num = len(decided.reasons)
    documents = np.bincount(decided.reason_D + 1, minlength=num + 1)
    num_bytes = np.bincount(decided.reason_D + 1, weights=columns.bytes_D, minlength=num + 1)
    kept_D = decided.reason_D == KEPT
    steps = []
    for number, reason in enumerate(decided.reasons):
        step = {"stage": reason.stage, "rule": reason.rule}
        step |= {"documents": int(documents[number + 1]), "bytes": int(num_bytes[number + 1])}
        if decided.any_documents is not None and decided.any_bytes is not None:
            step["any_documents"] = int(decided.any_documents[number])
            step["any_bytes"] = int(decided.any_bytes[number])
        steps.append(step)
    return {
        "read": {"documents": len(columns), "bytes": int(columns.bytes_D.sum())},
        "steps": steps,
        "kept": {
            "documents": int(documents[0]),
            "bytes": int(num_bytes[0]),
            "bytes_after_edits": int(columns.kept_bytes_D[kept_D].sum()),
        },
    }


def duplicates(columns: Columns, decided: Decided, sources: Sequence[str]) -> dict[str, Any]:
    """By kind, the documents of each source that repeat one of each source: [source][partner's].

    The last partner is ``earlier``: documents that earlier corpora keep.
    """
    found: dict[str, Any] = {"sources": [*sources, "earlier"]}
    num = len(sources) + 1
    source_D = np.append(columns.source_D, len(sources)).astype(np.int64)
    for stage in ("exact", "near"):
        numbers = [i for i, reason in enumerate(decided.reasons) if reason.stage == stage]
        partner_D = np.where(np.isin(decided.reason_D, numbers), decided.partner_D, -1)
        partner_D[partner_D < -1] = len(columns)  # a row of its own for all earlier corpora
        counts = between_sources(np.append(partner_D, -1), source_D, num)
        found[stage] = counts[: len(sources)].tolist()
    return found


def near_pairs(decided: Decided, config: CorpusConfig) -> dict[str, Any] | None:
    """How near duplicates were verified: pairs that shared a band, those of them that the estimate
    did not rule out and whose texts were compared, and those that are as similar as is asked."""
    if config.near is None:
        return None
    near = [number for number, reason in enumerate(decided.reasons) if reason.stage == "near"]
    return {
        "similarity": config.near.similarity,
        "pairs_found": decided.near_found,
        "pairs_compared": decided.near_compared,
        "pairs_verified": int(np.isin(decided.reason_D, near).sum()),
    }


def refuse_nothing(told: Mapping[str, Any], where: str) -> None:
    """Raise InputError, naming the rule that dropped most, when no document is kept."""
    if told["kept"]["documents"]:
        return
    most = max(told["steps"], key=lambda step: step["documents"])
    raise InputError(
        f"{where}: none of {told['read']['documents']:,} documents is kept; most of them "
        f"({most['documents']:,}) were dropped by {most['rule']}; change what it asks, or the "
        "sources"
    )
