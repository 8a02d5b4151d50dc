"""How much every rule dropped, counted from decisions, in the order in which they are asked."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from evergrow.corpus.curate.columns import Columns
from evergrow.corpus.curate.config import CorpusConfig
from evergrow.corpus.curate.decide import KEPT, Decided
from evergrow.corpus.duplicates.clusters import between_sources
from evergrow.corpus.records import Amount, Duplicates, Kept, NearPairs, Step, Waterfall
from evergrow.errors import InputError


def waterfall(columns: Columns, decided: Decided) -> Waterfall:
    """What was read, what each rule dropped first or would have, and what was kept."""
    any_documents, any_bytes = decided.any_documents, decided.any_bytes
    assert any_documents is not None and any_bytes is not None
    documents, num_bytes = _totals(columns, decided)
    steps = [
        Step(
            stage=reason.stage,
            rule=reason.rule,
            documents=int(documents[number + 1]),
            bytes=int(num_bytes[number + 1]),
            any_documents=int(any_documents[number]),
            any_bytes=int(any_bytes[number]),
        )
        for number, reason in enumerate(decided.reasons)
    ]
    kept_after = columns.kept_bytes_D[decided.reason_D == KEPT].sum()
    return Waterfall(
        read=Amount(documents=len(columns), bytes=int(columns.bytes_D.sum())),
        steps=steps,
        kept=Kept(**dict(kept(columns, decided)), bytes_after_edits=int(kept_after)),
    )


def kept(columns: Columns, decided: Decided) -> Amount:
    """What stays, as read."""
    documents, num_bytes = _totals(columns, decided)
    return Amount(documents=int(documents[0]), bytes=int(num_bytes[0]))


def _totals(columns: Columns, decided: Decided) -> tuple[np.ndarray, np.ndarray]:
    """Documents and bytes [1 + reasons]: what was kept, then what each reason dropped."""
    fate_D, num = decided.reason_D + 1, len(decided.reasons) + 1
    return (
        np.bincount(fate_D, minlength=num),
        np.bincount(fate_D, weights=columns.bytes_D, minlength=num),
    )


def duplicates(columns: Columns, decided: Decided, sources: Sequence[str]) -> Duplicates:
    """How many documents of each source repeat one of each source, and of earlier corpora."""
    num = len(sources) + 1
    source_D = np.append(columns.source_D, len(sources)).astype(np.int64)
    found: dict[str, list[list[int]]] = {}
    for stage in ("exact", "near"):
        numbers = [i for i, reason in enumerate(decided.reasons) if reason.stage == stage]
        partner_D = np.where(np.isin(decided.reason_D, numbers), decided.partner_D, -1)
        partner_D[partner_D < -1] = len(columns)  # a row of its own for all earlier corpora
        counts = between_sources(np.append(partner_D, -1), source_D, num)
        found[stage] = counts[: len(sources)].tolist()
    return Duplicates(sources=[*sources, "earlier"], exact=found["exact"], near=found["near"])


def near_pairs(decided: Decided, config: CorpusConfig) -> NearPairs | None:
    """How near duplicates were verified; None where they were not looked for."""
    if config.near is None:
        return None
    near = [number for number, reason in enumerate(decided.reasons) if reason.stage == "near"]
    return NearPairs(
        similarity=config.near.similarity,
        pairs_found=decided.near_found,
        pairs_compared=decided.near_compared,
        pairs_verified=int(np.isin(decided.reason_D, near).sum()),
    )


MOST = 0.5  # of what was read; rules that drop more are hardly meant so


def drops_most(told: Waterfall, name: str, folder: Path) -> list[str]:
    """A sentence on each preset or suite that dropped more than MOST of a corpus, where to look."""
    found: dict[str, list[Step]] = {}
    for step in told.steps:
        if step.stage in ("policy", "contamination"):
            found.setdefault(step.rule.partition(".")[0], []).append(step)
    num = told.read.documents
    return [
        _mostly(group, sum(s.documents for s in steps), num, steps, name, folder)
        for group, steps in found.items()
        if sum(step.documents for step in steps) > MOST * num
    ]


def _mostly(
    group: str,
    dropped: int,
    num: int,
    steps: Sequence[Step],
    name: str,
    folder: Path,
) -> str:
    most = max(steps, key=lambda step: step.documents)
    of = "" if most.documents == dropped else f", {most.documents:,} of them by {most.rule}"
    otherwise = (
        "; what another policy would keep: evergrow curate RECIPE --what-if POLICY.yaml"
        if most.stage == "policy"
        else ""
    )
    return (
        f"{name}: {group} dropped {dropped:,} of {num:,} documents{of}; look at them: "
        f"evergrow why {folder} --rule {most.rule}{otherwise}"
    )


def refuse_nothing(told: Waterfall, where: str) -> None:
    """Raise InputError, naming the rule that dropped most, when no document is kept."""
    if told.kept.documents:
        return
    most = max(told.steps, key=lambda step: step.documents)
    raise InputError(
        f"{where}: none of {told.read.documents:,} documents is kept; most of them "
        f"({most.documents:,}) were dropped by {most.rule}; change what it asks, or the sources"
    )
