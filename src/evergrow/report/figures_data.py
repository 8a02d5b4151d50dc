"""Charts of what went in: the share of every source over the life of the model."""

from evergrow.report.canvas import Figure, layout, life_axis, plain, source_color, stage_bands, text
from evergrow.report.folder import Arm, RunFolder, Span
from evergrow.report.words import count
from evergrow.run import StageRecord


def shares(stage: StageRecord) -> dict[str | None, float]:
    """Share of each source in a stage's tokens; None is replay of earlier streams."""
    total, replayed = sum(stage.mixture.values()), replay_fraction(stage)
    new: dict[str | None, float] = {
        source: (1 - replayed) * weight / total
        for source, weight in stage.mixture.items()
        if weight
    }
    return {**new, None: replayed} if replayed else new


def replay_fraction(stage: StageRecord) -> float:
    """Share of replayed tokens in [0, 1]."""
    fraction = stage.replay["fraction"]
    assert isinstance(fraction, int | float)
    return float(fraction)


def mixture_groups(folder: RunFolder) -> list[list[Arm]]:
    """Arms that were fed the same, together."""
    groups: dict[str, list[Arm]] = {}
    for arm in folder.arms:
        fed = [(stage.tokens, shares(stage)) for stage in arm.stages]
        groups.setdefault(repr(fed), []).append(arm)
    return list(groups.values())


def mixture(folder: RunFolder, arms: list[Arm]) -> Figure:
    """One column a stage, as wide as its tokens, divided by source; replay is hatched."""
    bars: list[Figure] = []
    for span in arms[0].first.way:
        height = 0.0
        for source, share in shares(span.stage).items():
            bars.append(_bar(folder, source, span, height, share))
            height += share
    bands = stage_bands(folder)
    return {
        "data": bars,
        "layout": layout(
            barmode="overlay",
            hovermode="closest",
            xaxis=life_axis(folder),
            yaxis={
                "range": [0, 1],
                "tickformat": ".0%",
                "tickvals": [0, 0.5, 1],
                "showgrid": False,
            },
            annotations=bands["annotations"],
        ),
    }


def _bar(folder: RunFolder, source: str | None, span: Span, base: float, share: float) -> Figure:
    name = text(source or "replay")
    marker: Figure = {"line": {"width": 1, "color": "@page"}}
    if source:
        marker["color"] = source_color(folder, source)
    else:
        marker["pattern"] = {
            "shape": "/",
            "fgcolor": "@replay",
            "bgcolor": "@band",
            "size": 7,
            "solidity": 0.18,
        }
    return {
        "type": "bar",
        "name": name,
        "x": [span.start],
        "width": [span.end - span.start],
        "offset": 0,
        "base": [base],
        "y": plain([share]),
        "text": f"{name} {share:.0%}",
        "textposition": "inside",
        "insidetextanchor": "middle",
        "textangle": 0,
        "textfont": {"color": "@ink", "size": 12},
        "constraintext": "none",
        "opacity": 0.35 if span.stage.status == "pending" else 1,
        "marker": marker,
        "hovertemplate": f"{text(span.stage.name)}: {name} {share:.1%}, "
        f"{count(share * (span.end - span.start))} {folder.counted}"
        "<extra></extra>",
    }
