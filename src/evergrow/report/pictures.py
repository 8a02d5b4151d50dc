"""What the report shows of a model of pictures: sheets, probes, and whether it learnt at all."""

import base64
from dataclasses import dataclass

from evergrow.objectives.lines import Shown
from evergrow.report.folder import Arm, Moment, RunFolder
from evergrow.scores.store import folder_of


@dataclass(frozen=True)
class Sheet:
    """One source's pictures at one moment, as a data address; ``cases`` says what they are."""

    label: str
    address: str
    cases: str


@dataclass(frozen=True)
class Share:
    """A share of pictures told right, and its 95 % interval where there is one."""

    accuracy: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ShareRow:
    """One line of a table of shares: a stage's release, the first weights, or the raw pixels."""

    label: str
    values: list[Share | None]


ShareTable = list[tuple[Arm, list[ShareRow]]]
TITLES = {"linear": "Linear probe", "nearest": "Nearest neighbours"}


def sheets(folder: RunFolder, arm: Arm) -> dict[str, list[Sheet]]:
    """The sheets of the arm's first seed by source, in the order of the stages."""
    found: dict[str, list[Sheet]] = {}
    keys: dict[Moment, str] = {None: arm.first.manifest.start.key}
    keys |= {stage.name: stage.key for stage in arm.stages}
    for moment, shown in arm.first.shown.items():
        for one in shown:
            path = folder_of(folder.root, keys[moment]) / (one.picture or "")
            if one.picture is None or not path.is_file():
                continue
            encoded = base64.b64encode(path.read_bytes()).decode()
            label = "before" if moment is None else f"after {moment}"
            sheet = Sheet(label, f"data:image/png;base64,{encoded}", _cases(one))
            found.setdefault(one.source, []).append(sheet)
    return found


def _cases(sample: Shown) -> str:
    """``right: 3, 5; wrong: 3 told as 5`` for class maps, nothing for reconstructions."""
    right = ", ".join(case.told for case in sample.cases[: sample.num_right])
    wrong = ", ".join(
        f"{case.is_} told as {case.told}" for case in sample.cases[sample.num_right :]
    )
    parts = [*([f"right: {right}"] if right else []), *([f"wrong: {wrong}"] if wrong else [])]
    return "; ".join(parts)


def share_tables(folder: RunFolder) -> list[tuple[str, ShareTable]]:
    """Title and rows of every table: what classifiers tell right, then both probes."""
    tables = [("Told right", [(arm, _accuracies(folder, arm)) for arm in folder.arms])]
    tables += [
        (title, [(arm, probe_rows(folder, arm, kind)) for arm in folder.arms])
        for kind, title in TITLES.items()
    ]
    filled = [(title, [(arm, rows) for arm, rows in table if rows]) for title, table in tables]
    return [(title, table) for title, table in filled if table]


def probe_rows(folder: RunFolder, arm: Arm, kind: str) -> list[ShareRow]:
    """Rows pixels, random weights beside loaded ones, first weights and every release; columns the
    sources; of the first seed."""
    own = arm.first.probes
    places: list[tuple[str, Moment, str]] = [
        ("raw pixels", None, "pixels"),
        ("random weights", None, "random"),
        ("first weights", None, "model"),
    ]
    places += [(f"after {stage.name}", stage.name, "model") for stage in arm.stages]
    rows = []
    for label, stage, features in places:
        here = [p for p in own.get(stage, []) if (p.probe, p.features) == (kind, features)]
        found = {p.source: Share(p.accuracy, p.low, p.high) for p in here}
        if found:
            rows.append(ShareRow(label, [found.get(source) for source in folder.sources]))
    return rows


def _accuracies(folder: RunFolder, arm: Arm) -> list[ShareRow]:
    """The first weights and every release of a classifier; of the first seed."""
    places: list[tuple[str, Moment]] = [("before", None)]
    places += [(f"after {s.name}", s.name) for s in arm.stages]
    rows = []
    for label, stage in places:
        here = arm.first.losses.get(stage, {})
        found = {n: Share(e.accuracy) for n, e in here.items() if e.accuracy is not None}
        if found:
            rows.append(ShareRow(label, [found.get(source) for source in folder.sources]))
    return rows


def unlearnt(folder: RunFolder) -> list[str]:
    """Arms and streams whose own release is no better than the best constant: ``arm: stream``.

    What was not learnt cannot be forgotten, so their forgetting says nothing.
    """
    found = []
    for arm in folder.arms:
        for run in arm.runs:
            for stage in run.manifest.stages:
                own = run.losses.get(stage.name, {})
                found += [
                    f"{run.path}: {name}"
                    for name in stage.mixture
                    if name in own and not own[name].is_learnt
                ]
    return found
