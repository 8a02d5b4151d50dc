"""What the report shows of a model of pictures: what it tells, sheets, probes, and the audit."""

import base64
from collections.abc import Callable
from dataclasses import dataclass

from evergrow.images.records import Audit, Owners
from evergrow.lineage import Measured, Told
from evergrow.lineage import Share as Bounded
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
    """A share or an area, and its 95 % interval where there is one."""

    value: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class ShareRow:
    """One line of a table of shares: a stage's release, the first weights, or the raw pixels."""

    label: str
    values: list[Share | None]


@dataclass(frozen=True)
class ShareTable:
    """Shares of every arm that has them, under a title and a sentence on what they are."""

    title: str
    note: str
    arms: list[tuple[Arm, list[ShareRow]]]


TITLES = {"linear": "Linear probe", "nearest": "Nearest neighbours"}
NOTES = {
    "Told right": "Share of held-out pictures whose class the model itself tells right, of the "
    "first seed; above it what telling the most frequent training label would give.",
    "Balanced": "The same, every class weighing alike; telling one class only gives 1 over their "
    "number.",
    "Ranking": "Area under the ROC curve, the mean over labels, of the first seed: the chance that "
    "a picture with the label is given more than one without. .5 is a coin.",
    "Linear probe": "Share of held-out pictures that a logistic regression on the features tells "
    "right, of the first seed. A model that is worth its training beats its own first weights; "
    "small pictures are often told best from the raw pixels.",
    "Nearest neighbours": "The same by the vote of the 20 training pictures whose features are "
    "nearest.",
}


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


def share_tables(folder: RunFolder) -> list[ShareTable]:
    """Every table: what classifiers tell right and how they rank, then both probes."""
    makers: dict[str, Callable[[Arm], list[ShareRow]]] = {
        "Told right": lambda arm: told_right(folder, arm),
        "Balanced": lambda arm: _measured_rows(folder, arm, _balanced),
        "Ranking": lambda arm: _measured_rows(folder, arm, _ranking),
    }
    for kind, title in TITLES.items():
        makers[title] = lambda arm, kind=kind: probe_rows(folder, arm, kind)
    tables = [
        ShareTable(title, NOTES[title], [(arm, rows) for arm in folder.arms if (rows := make(arm))])
        for title, make in makers.items()
    ]
    return [table for table in tables if table.arms]


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


def told_right(folder: RunFolder, arm: Arm) -> list[ShareRow]:
    """The most frequent label, then the first weights and every release of a classifier."""
    usual: dict[str, Share] = {}
    for here in arm.first.losses.values():
        usual |= {n: Share(e.majority) for n, e in here.items() if e.majority is not None}
    first = [ShareRow("most frequent label", [usual.get(source) for source in folder.sources])]
    return [*(first if usual else []), *_measured_rows(folder, arm, _accuracy)]


def _measured_rows(
    folder: RunFolder, arm: Arm, of: Callable[[Measured], Share | None]
) -> list[ShareRow]:
    """The first weights and every release; of the first seed."""
    places: list[tuple[str, Moment]] = [("before", None)]
    places += [(f"after {s.name}", s.name) for s in arm.stages]
    rows = []
    for label, stage in places:
        here = arm.first.losses.get(stage, {})
        found = {name: share for name, e in here.items() if (share := of(e)) is not None}
        if found:
            rows.append(ShareRow(label, [found.get(source) for source in folder.sources]))
    return rows


def _accuracy(line: Measured) -> Share | None:
    if line.accuracy is None:
        return None
    bounds = line.told and line.told.accuracy_bounds
    return Share(line.accuracy, *(bounds or ()))


def _balanced(line: Measured) -> Share | None:
    return _shown(line.told and line.told.balanced_accuracy)


def _ranking(line: Measured) -> Share | None:
    return _shown(line.told and line.told.auroc)


def _shown(share: Bounded | None) -> Share | None:
    return None if share is None else Share(share.value, share.low, share.high)


@dataclass(frozen=True)
class ToldBlock:
    """What an arm's last release tells of a source, label by label; ``part`` as its split says."""

    arm: Arm
    source: str
    part: str
    told: Told

    @property
    def has_losses(self) -> bool:
        """Whether labels are findings, each with a loss of its own."""
        return any(label.floor is not None for label in self.told.labels)

    @property
    def confusion(self) -> list[tuple[str, list[tuple[int, float]]]]:
        """Of every label what its pictures are taken for: counts, and shares of the row."""
        rows = zip(self.told.labels, self.told.confusion, strict=False)
        return [(x.label, [(n, n / (sum(row) or 1)) for n in row]) for x, row in rows]


def told_blocks(folder: RunFolder) -> list[ToldBlock]:
    """The last release of every arm, source by source; of the first seed."""
    found = []
    for arm in folder.arms:
        losses = arm.first.losses
        last = next((s.name for s in reversed(arm.stages) if s.name in losses), None)
        for source, line in losses.get(last, {}).items() if last else ():
            if line.told is not None:
                found.append(ToldBlock(arm, source, line.part or "held out", line.told))
    return found


def pixel_facts(own: Owners) -> list[str]:
    """How the pixels of a source came about, a phrase each; what did not happen is not said."""
    pixels = own.told.pixels
    facts = [
        f"{depth.pictures:,} of {bits} bits, from {depth.range[0]:,} to {depth.range[1]:,}"
        for bits, depth in pixels.depths.items()
    ]
    changed = {
        "inverted": pixels.inverted,
        "cut to their stored bits": pixels.masked,
        "shifted down to them": pixels.shifted,
        "turned upright": pixels.turned,
        "by a table of interest": pixels.interest.get("table", 0),
        "by a window": pixels.interest.get("window", 0),
        "with less than half of their greys": pixels.narrow,
    }
    facts += [f"{count:,} {what}" for what, count in changed.items() if count]
    return facts + [f"{count:,} {said}" for said, count in pixels.intent.items() if said.isupper()]


def patient_facts(audit: Audit) -> list[str]:
    """Sentences on patients who are not where one would look for them."""
    facts = []
    for name, own in audit.by_source.items():
        if own.told.ids_alike.patients:
            facts.append(
                f"{name}: the ids of {own.told.ids_alike.patients:,} patients are spelt in several "
                "ways (case, blanks, normal form); each counts as one."
            )
        facts += [
            f"{name}: {shared.patients:,} patients are on another side in {other}; of their "
            f"pictures here {shared.held_out:,} are held out and {shared.train:,} trained on."
            for other, shared in own.told.returning.items()
        ]
        if own.on_other_side:
            facts.append(
                f"{name}: {own.on_other_side:,} patients are not on the side of their id's hash, "
                "because of a split of the data, of an earlier source, or since it is only "
                "measured or small."
            )
    return facts


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
