"""What a terminal shows of a study: the numbers of its arms, then its claims with verdicts."""

import math

import numpy as np
from rich.table import Table

from evergrow.statistics import SEEDS_FOR_A_CLAIM, SEEDS_FOR_THE_LOG
from evergrow.studies.findings import Findings, Judged


def numbers_table(findings: Findings) -> Table:
    """An arm a line, a measure a column: the mean over its seeds."""
    arms = findings.numbers
    measures = list(dict.fromkeys(name for found in arms.values() for name in found))
    title = f"{findings.question}\n{findings.paper}; {findings.unit}, means of {_seeds(findings)}"
    table = Table(title=title, title_justify="left")
    table.add_column("arm")
    for name in measures:
        table.add_column(name, justify="right")
    for arm, found in arms.items():
        table.add_row(arm, *(_mean(found[name]) for name in measures))
    return table


def _mean(by_seed: dict[int, float]) -> str:
    values = list(by_seed.values())
    if never := sum(value == math.inf for value in values):
        return "∞" if never == len(values) else f"∞ ({never} of {len(values)})"
    return f"{np.mean(values):.3f}" if values else ""


def claims_table(findings: Findings) -> Table:
    """Two lines a claim, with its verdict before them: what it says, and what was compared."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for claim in findings.claims:
        table.add_row(claim.verdict, claim.claim)
        table.add_row("", f"{_expected(claim)}: {_found(claim, findings.seeds)}")
    return table


def _found(claim: Judged, seeds: list[int]) -> str:
    """The mean paired difference and its interval; the seeds when they are not all of them."""
    num_seeds = len(claim.seeds)
    over = "" if num_seeds == len(seeds) else f" over {num_seeds} seeds"
    if claim.never is not None:
        return f"never: {claim.never}{over}"
    if claim.difference is None:
        return f"nothing to pair{over}"
    low, high = claim.difference.interval
    return f"{claim.difference.mean:+.3f} ({low:+.3f} to {high:+.3f}){over}"


def _expected(claim: Judged) -> str:
    (arm, measure), (other, other_measure) = claim.first, claim.second
    if measure == other_measure:
        names = f"{measure}: {arm}", other
    elif arm == other:
        names = f"{arm}: {measure}", other_measure
    else:
        names = f"{arm}: {measure}", f"{other}: {other_measure}"
    if claim.expected == "equal":
        return f"{names[0]} within {claim.margin} of {names[1]}"
    return f"{names[0]} {claim.expected} {names[1]}"


def what_is_missing(findings: Findings) -> str | None:
    """How many more seeds the word "reproduced" needs; None when there are enough."""
    have = len(findings.seeds)
    if have >= SEEDS_FOR_A_CLAIM:
        return None
    return (
        f"{_seeds(findings)}: {SEEDS_FOR_THE_LOG} suggest, {SEEDS_FOR_A_CLAIM} make a claim; "
        f"--seeds {SEEDS_FOR_A_CLAIM} trains {SEEDS_FOR_A_CLAIM - have} more"
    )


def _seeds(findings: Findings) -> str:
    return f"{len(findings.seeds)} seeds"
