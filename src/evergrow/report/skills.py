"""What the releases of a run score on suites: a row a suite and metric, a column a stage."""

from dataclasses import dataclass

from evergrow.evals.suites.records import Estimate, SuiteScore
from evergrow.report.folder import Arm, RunFolder
from evergrow.scores.store import read_kind


@dataclass(frozen=True)
class SkillRow:
    """A suite's own metric by stage, None where it was not asked; and the best without a model."""

    label: str
    cells: list[Estimate | None]
    baseline: float


def skills(folder: RunFolder) -> list[tuple[Arm, list[str], list[SkillRow]]]:
    """Of each arm that was asked suites: its stages and rows, those of its first seed."""
    found = []
    for arm in folder.arms:
        stages = [stage for stage in arm.first.manifest.stages if stage.status == "done"]
        columns = [
            {s.made: s for kept in read_kind(folder.root, stage.key, "suite") for s in kept.suites}
            for stage in stages
        ]
        if made := list(dict.fromkeys(key for column in columns for key in column)):
            rows = [_row([column.get(key) for column in columns]) for key in made]
            found.append((arm, [stage.name for stage in stages], rows))
    return found


def _row(scores: list[SuiteScore | None]) -> SkillRow:
    first = next(score for score in scores if score is not None)
    several = f", {first.samples} answers" if first.samples > 1 else ""
    cells = [score and score.own for score in scores]
    label = f"{first.suite}: {first.metric}, {len(first.items):,} items{several}"
    return SkillRow(label, cells, max(first.baselines.values()))
