"""The orders that a stage was trained in, beside their average: what was chosen, and on what."""

from dataclasses import dataclass

from evergrow.lineage import Soup
from evergrow.report.folder import Arm, RunFolder


@dataclass(frozen=True)
class OrdersTable:
    """The candidates of one stage of an arm by row, their loss with each seed by column.

    ``chosen`` are the rows that became releases, by column; ``text`` is what they were judged on.
    """

    arm: Arm
    stage: str
    unit: str
    text: str
    seeds: list[int]
    rows: list[tuple[str, list[float]]]
    chosen: list[str]


def orders_tables(folder: RunFolder) -> list[OrdersTable]:
    """A table for every stage of several orders that has its release."""
    return [
        _table(arm, stage.name)
        for arm in folder.arms
        for stage in arm.stages
        if stage.soup is not None
    ]


def _table(arm: Arm, stage: str) -> OrdersTable:
    found: dict[int, Soup] = {
        run.manifest.seed: record.soup
        for run in arm.runs
        for record in run.manifest.stages
        if record.name == stage and record.soup is not None
    }
    first = next(iter(found.values()))
    rows = [
        (one.name, [soup.candidates[place].loss for soup in found.values()])
        for place, one in enumerate(first.candidates)
    ]
    return OrdersTable(
        arm=arm,
        stage=stage,
        unit=first.unit,
        text=", ".join(first.measured_on),
        seeds=[*found],
        rows=rows,
        chosen=[soup.chosen for soup in found.values()],
    )
