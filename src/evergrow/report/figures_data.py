"""Charts of what went in: the share of every source over the life of the model."""

from dataclasses import replace

from evergrow.report.canvas import life_axis, source_color, stage_bands
from evergrow.report.chart import Axis, Bar, Chart
from evergrow.report.folder import Arm, RunFolder, Span
from evergrow.report.words import count, listing
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
        fed = [(stage.tokens, shares(stage)) for stage in arm.plan]
        groups.setdefault(repr(fed), []).append(arm)
    return list(groups.values())


def mixtures(folder: RunFolder) -> list[Chart]:
    """What went in, a chart for each group of arms that were fed the same."""
    return [mixture(folder, arms, number) for number, arms in enumerate(mixture_groups(folder))]


def mixture(folder: RunFolder, arms: list[Arm], number: int) -> Chart:
    """One column a stage, as wide as its tokens, divided by source; replay is hatched."""
    bars: list[Bar] = []
    for span in arms[0].first.way:
        height = 0.0
        for source, share in shares(span.stage).items():
            bars.append(_bar(folder, source, span, height, share))
            height += share
    unshaded = tuple(replace(band, is_shaded=False) for band in stage_bands(folder))
    ticks = tuple((share, f"{share:.0%}") for share in (0.0, 0.5, 1.0))
    return Chart(
        f"mixture-{number}",
        f"Share of each source, {listing([arm.name for arm in arms])}",
        110,
        life_axis(folder.arms, folder.counted),
        Axis(0.0, 1.0, ticks, "share"),
        bands=unshaded,
        bars=tuple(bars),
        grid="",
        arms=tuple(arm.color for arm in arms),
    )


def _bar(folder: RunFolder, source: str | None, span: Span, base: float, share: float) -> Bar:
    name = source or "replay"
    read = count(share * (span.end - span.start))
    return Bar(
        span.start,
        span.end,
        base,
        base + share,
        f"{name} {share:.0%}",
        f"{span.stage.name}: {name} {share:.1%}, {read} {folder.counted}",
        source_color(folder, source) if source else None,
        is_faint=span.stage.status == "pending",
    )
