"""Writes ``report.html``: one page that needs no network, made from the files of a run folder."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from evergrow.disk import write_file
from evergrow.objectives.lines import Shown
from evergrow.report import canvas, figures_data, figures_life, figures_scores, words
from evergrow.report.corpora import CorpusCard, read_corpora
from evergrow.report.folder import Arm, Growth, Moment, RunFolder, has_runs, read_run_folder
from evergrow.report.lineage import WIDTH, lineage, stripes
from evergrow.report.matrix import columns, heat_map, ways
from evergrow.report.pictures import share_tables, sheets, unlearnt

RELOAD_SECONDS = 10


@dataclass(frozen=True)
class Chart:
    """A figure with its place on the page; ``label`` is read aloud where it cannot be seen."""

    name: str
    figure: canvas.Figure
    height: int
    label: str
    title: str = ""
    arms: tuple[Arm, ...] = ()


def write_report(run_folder: Path) -> Path:
    """Write ``run_folder/report.html`` in one move and return its path.

    Raises InputError when the folder holds no run, a damaged file or a newer format.
    """
    now = datetime.now(UTC)
    corpora = read_corpora(run_folder)
    if corpora and not has_runs(run_folder):
        page = render_corpora(run_folder.resolve().name, corpora, now)
    else:
        page = render(read_run_folder(run_folder), now)
    target = run_folder / "report.html"
    write_file(target, page)
    return target


def render_corpora(name: str, corpora: list[CorpusCard], written: datetime) -> str:
    """The page of a recipe that made corpora and trained nothing yet."""
    return (
        _templates()
        .get_template("corpora_page.html.j2")
        .render(
            name=name,
            corpora=corpora,
            written=written,
            palettes={"light": canvas.LIGHT, "dark": canvas.DARK},
            style=Markup(_package_text("evergrow.report", "page.css")),
        )
    )


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("evergrow.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        bits=words.bits, signed=words.signed, count=words.count, size=words.size,
        stripes=stripes, plural=words.plural,
    )  # fmt: skip
    return environment


def render(folder: RunFolder, written: datetime) -> str:
    """The whole page as text; ``written`` is printed on it (UTC)."""
    environment = _templates()
    sections, measures = _charts(folder), words.measures(folder)
    not_learnt = unlearnt(folder)
    return environment.get_template("page.html.j2").render(
        folder=folder,
        written=written,
        headline=words.NOT_LEARNT if not_learnt else words.headline(folder),
        verdict="" if not_learnt else words.verdict(folder),
        facts=_facts(folder),
        errors=[run for arm in folder.arms for run in arm.runs if run.manifest.error],
        measures=measures,
        best={measure.key: words.best_arms(folder, measure) for measure in measures},
        **sections,
        columns=columns(folder),
        heat_maps=[
            (arm, "" if leaf == arm.stages[-1].name else leaf, rows)
            for arm in folder.arms
            for leaf, way in ways(arm)
            if (rows := heat_map(folder, arm, way))
        ],
        data=[(name, folder.data[name]) for name in _data_order(folder)],
        tree=lineage(folder),
        tree_width=WIDTH,
        growths=_growths(folder),
        corpora=read_corpora(folder.root),
        samples=[(arm, texts) for arm in folder.arms if (texts := _by_prompt(arm.first.shown))],
        sheets=[(arm, found) for arm in folder.arms if (found := sheets(folder, arm))],
        share_tables=share_tables(folder),
        unlearnt=not_learnt,
        audit=folder.audit,
        skipped=[(arm, step) for arm in folder.arms for step in arm.first.digest.skipped],
        num_skipped=sum(arm.first.digest.num_skipped for arm in folder.arms),
        environment=_environment(folder),
        release=_example_release(folder),
        loader=folder.arms[0].first.manifest.model.get("loader", ""),
        figures={chart.name: chart.figure for charts in sections.values() for chart in charts},
        palettes={"light": canvas.LIGHT, "dark": canvas.DARK},
        reload_seconds=RELOAD_SECONDS if folder.status == "running" else 0,
        style=Markup(_package_text("evergrow.report", "page.css")),
        script=Markup(_package_text("evergrow.report", "page.js")),
        plotly=Markup(_package_text("plotly", "package_data/plotly.min.js")),
    )


def _package_text(package: str, path: str) -> str:
    return resources.files(package).joinpath(path).read_text(encoding="utf-8")


def _charts(folder: RunFolder) -> dict[str, list[Chart]]:
    """The charts of each section of the page; a section without numbers is empty."""
    return {
        "losses": list(_losses(folder)),
        "rates": list(_rates(folder)),
        "training": list(_training(folder)),
        "scores": list(_scores(folder)),
        "mixtures": list(_mixtures(folder)),
    }


def _losses(folder: RunFolder) -> Iterator[Chart]:
    for number, source in enumerate(folder.sources):
        figure = figures_life.source_loss(folder, source)
        if any(trace["x"] for trace in figure["data"]):
            title = source if source in folder.learnt else f"{source} (measured only)"
            yield Chart(
                f"loss-{number}",
                figure,
                230,
                f"{folder.unit.capitalize()} of {source} along {folder.counted}",
                title,
            )


def _rates(folder: RunFolder) -> Iterator[Chart]:
    groups = figures_life.schedule_groups(folder)
    for number, arms in enumerate(groups):
        figure = figures_life.learning_rate(folder, arms)
        names = words.listing([arm.name for arm in arms])
        yield Chart(
            f"rate-{number}",
            figure,
            230,
            f"Learning rate of {names} along {folder.counted}",
            arms=tuple(arms),
        )


def _training(folder: RunFolder) -> Iterator[Chart]:
    if any(arm.first.digest.curves for arm in folder.arms):
        figure = figures_life.training_loss(folder)
        yield Chart("training", figure, 250, f"Training loss of every arm along {folder.counted}")


def _scores(folder: RunFolder) -> Iterator[Chart]:
    figure = figures_scores.scores(folder)
    if figure["data"]:
        height = figures_scores.scores_height(folder)
        yield Chart(
            "scores",
            figure,
            height,
            f"{folder.unit.capitalize()} of the last releases with intervals",
        )


def _mixtures(folder: RunFolder) -> Iterator[Chart]:
    for number, arms in enumerate(figures_data.mixture_groups(folder)):
        names = words.listing([arm.name for arm in arms])
        figure = figures_data.mixture(folder, arms)
        yield Chart(
            f"mixture-{number}", figure, 150, f"Share of each source, {names}", arms=tuple(arms)
        )


def _facts(folder: RunFolder) -> list[str]:
    """The line under the title."""
    model = folder.arms[0].first.manifest.model
    size = model.get("num_parameters")
    return [
        words.plural(len(folder.arms), "arm"),
        words.plural(max(len(arm.stages) for arm in folder.arms), "stage"),
        words.plural(folder.num_seeds, "seed"),
        *([f"{words.count(size)} parameters"] if isinstance(size, int) else []),
        *([str(model["source"])] if "source" in model else []),
    ]


def _growths(folder: RunFolder) -> list[tuple[Arm, str, Growth]]:
    """Every growth of the first seeds with its stage; one that arms share stands once."""
    found: dict[str, tuple[Arm, str, Growth]] = {}
    for arm in folder.arms:
        for stage in arm.stages:
            if growth := arm.first.growths.get(stage.name):
                found.setdefault(stage.key, (arm, stage.name, growth))
    return list(found.values())


def _data_order(folder: RunFolder) -> list[str]:
    return sorted(
        folder.data,
        key=lambda name: (name not in folder.sources, [*folder.sources, name].index(name)),
    )


def _by_prompt(shown: dict[Moment, list[Shown]]) -> dict[str, list[tuple[Moment, str]]]:
    """What was written after each prompt, moment by moment."""
    grouped: dict[str, list[tuple[Moment, str]]] = {}
    for moment, lines in shown.items():
        for line in (one for one in lines if one.picture is None):
            grouped.setdefault(line.prompt, []).append((moment, line.text))
    return grouped


def _environment(folder: RunFolder) -> list[tuple[str, str]]:
    """What the runs were made with; where they differ, every value."""
    found: dict[str, dict[str, None]] = {}
    for arm in folder.arms:
        for run in arm.runs:
            made = run.manifest
            facts = {
                "evergrow": made.evergrow,
                "commit": made.commit,
                **made.environment,
                **made.model,
            }
            for key, value in facts.items():
                shown = f"{value:,}" if isinstance(value, int | float) else str(value)
                found.setdefault(key.replace("_", " "), {})[shown] = None
    return [(key, ", ".join(values)) for key, values in found.items()]


def _example_release(folder: RunFolder) -> str | None:
    """The folder of a last release, relative to the run folder."""
    paths = [
        f"{arm.first.path}/{arm.stages[-1].release}"
        for arm in folder.arms
        if arm.stages[-1].release
    ]
    return paths[0] if paths else None
