"""What the report shows of a model of pictures: sheets, probes, and whether it learnt at all."""

import base64
from dataclasses import dataclass

from evergrow.report.folder import Arm, Probe, RunFolder


@dataclass(frozen=True)
class Sheet:
    """One source's pictures after one stage, as a data address."""

    stage: str
    address: str


@dataclass(frozen=True)
class ProbeRow:
    """One line of the probe table: a stage's release, the first weights, or the raw pixels."""

    label: str
    values: list[Probe | None]


def sheets(folder: RunFolder, arm: Arm) -> dict[str, list[Sheet]]:
    """The sheets of the arm's first seed by source, in the order of the stages."""
    found: dict[str, list[Sheet]] = {}
    for sample in arm.first.samples:
        path = folder.root / arm.first.path / (sample.picture or "")
        if sample.picture is None or not path.is_file():
            continue
        encoded = base64.b64encode(path.read_bytes()).decode()
        sheet = Sheet(str(sample.stage), f"data:image/png;base64,{encoded}")
        found.setdefault(sample.source, []).append(sheet)
    return found


def probe_rows(folder: RunFolder, arm: Arm, kind: str = "linear") -> list[ProbeRow]:
    """Rows pixels, first weights and every release; columns the sources; of the first seed."""
    own = [p for p in arm.first.probes if p.probe == kind]
    places = [("raw pixels", None, "pixels"), ("first weights", None, "model")]
    places += [(f"after {stage.name}", stage.name, "model") for stage in arm.stages]
    rows = []
    for label, stage, features in places:
        found = {p.source: p for p in own if (p.stage, p.features) == (stage, features)}
        if found:
            rows.append(ProbeRow(label, [found.get(source) for source in folder.sources]))
    return rows


def unlearnt(folder: RunFolder) -> list[str]:
    """Arms and streams whose own release is no better than the best constant: ``arm: stream``.

    What was not learnt cannot be forgotten, so their forgetting says nothing.
    """
    found = []
    for arm in folder.arms:
        for run in arm.runs:
            for stage in run.manifest.stages:
                own = [
                    e
                    for e in run.evaluations
                    if (e.stage, e.leg) == (stage.name, "release") and e.source in stage.mixture
                ]
                found += [
                    f"{run.path}: {e.source}"
                    for e in own
                    if e.floor is not None and e.loss >= e.floor
                ]
    return found
