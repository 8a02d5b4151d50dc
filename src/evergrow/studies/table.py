"""What a terminal shows of a study: the numbers of its arms, then its claims with verdicts."""

from typing import Any

import numpy as np
from rich.table import Table

from evergrow.statistics import SEEDS_FOR_A_CLAIM, SEEDS_FOR_THE_LOG


def numbers_table(findings: dict[str, Any]) -> Table:
    """An arm a line, a measure a column: the mean over its seeds."""
    arms = findings["numbers"]
    measures = list(dict.fromkeys(name for found in arms.values() for name in found))
    title = f"{findings['question']}\n{findings['paper']}; bits per byte, {_seeds(findings)}"
    table = Table(title=title, title_justify="left")
    table.add_column("arm")
    for name in measures:
        table.add_column(name, justify="right")
    for arm, found in arms.items():
        table.add_row(arm, *(_mean(found[name]) for name in measures))
    return table


def _mean(by_seed: dict[int, float]) -> str:
    return f"{np.mean(list(by_seed.values())):.3f}" if by_seed else ""


def claims_table(findings: dict[str, Any]) -> Table:
    """A claim a line: what is compared, the mean paired difference, its interval, the verdict."""
    table = Table("claim", "expected", "difference", "95 % interval", "seeds", "verdict")
    for claim in findings["claims"]:
        interval = claim.get("interval")
        table.add_row(
            claim["claim"],
            _expected(claim),
            "" if interval is None else f"{claim['mean_difference']:+.3f}",
            "" if interval is None else f"{interval[0]:+.3f} to {interval[1]:+.3f}",
            str(len(claim["seeds"])),
            claim["verdict"],
        )
    return table


def _expected(claim: dict[str, Any]) -> str:
    (arm, measure), (other, other_measure) = claim["first"], claim["second"]
    if measure == other_measure:
        names = f"{measure}: {arm}", other
    elif arm == other:
        names = f"{arm}: {measure}", other_measure
    else:
        names = f"{arm}: {measure}", f"{other}: {other_measure}"
    if claim["expected"] == "equal":
        return f"{names[0]} within {claim['margin']} of {names[1]}"
    return f"{names[0]} {claim['expected']} {names[1]}"


def what_is_missing(findings: dict[str, Any]) -> str | None:
    """How many more seeds the word "reproduced" needs; None when there are enough."""
    have = len(findings["seeds"])
    if have >= SEEDS_FOR_A_CLAIM:
        return None
    return (
        f"{_seeds(findings)}: {SEEDS_FOR_THE_LOG} suggest, {SEEDS_FOR_A_CLAIM} make a claim; "
        f"--seeds {SEEDS_FOR_A_CLAIM} trains {SEEDS_FOR_A_CLAIM - have} more"
    )


def _seeds(findings: dict[str, Any]) -> str:
    return f"{len(findings['seeds'])} seeds"
