"""Writes ``report.html``: one page that needs no network, made from the files of a run folder."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from evergrow.disk import write_file
from evergrow.objectives.lines import Shown
from evergrow.report import figures_data, figures_life, figures_scores, verdict, words
from evergrow.report.arms_table import arms_table
from evergrow.report.chart import Chart
from evergrow.report.corpora import CorpusCard, read_corpora
from evergrow.report.drawing import readings
from evergrow.report.folder import Arm, Growth, Moment, RunFolder, has_runs, read_run_folder
from evergrow.report.lineage import WIDTH, lineage
from evergrow.report.matrix import columns, heat_map, ways
from evergrow.report.next_step import next_step
from evergrow.report.orders import orders_tables
from evergrow.report.pictures import (
    patient_facts,
    pixel_facts,
    share_tables,
    sheets,
    told_blocks,
    unlearnt,
)
from evergrow.report.skills import skills
from evergrow.report.templates import templates

RELOAD_SECONDS = 10


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
    page = templates().get_template("corpora_page.html.j2")
    return page.render(name=name, corpora=corpora, written=written)


def render(folder: RunFolder, written: datetime) -> str:
    """The whole page as text; ``written`` is printed on it (UTC)."""
    environment = templates()
    not_learnt = unlearnt(folder)
    charts = _charts(folder)
    return environment.get_template("page.html.j2").render(
        folder=folder,
        written=written,
        headline=verdict.NOT_LEARNT if not_learnt else verdict.headline(folder),
        over_seeds="" if not_learnt else verdict.over_seeds(folder),
        tiles=[verdict.learnt_tile(folder), verdict.forgotten_tile(folder, not_learnt)],
        step=next_step(folder, not_learnt),
        facts=_facts(folder),
        errors=[run for arm in folder.arms for run in arm.runs if run.manifest.error],
        table=arms_table(folder),
        **charts,
        columns=columns(folder),
        heat_maps=[
            (arm, "" if leaf == arm.stages[-1].name else leaf, rows)
            for arm in folder.arms
            for leaf, way in ways(arm)
            if (rows := heat_map(folder, arm, way))
        ],
        orders=orders_tables(folder),
        data=[(name, folder.data[name]) for name in _data_order(folder)],
        tree=lineage(folder),
        tree_width=WIDTH,
        growths=_growths(folder),
        corpora=read_corpora(folder.root),
        skills=skills(folder),
        samples=[(arm, texts) for arm in folder.arms if (texts := _by_prompt(arm.first.shown))],
        sheets=[(arm, found) for arm in folder.arms if (found := sheets(folder, arm))],
        share_tables=share_tables(folder),
        told_blocks=told_blocks(folder),
        patient_facts=patient_facts,
        pixel_facts=pixel_facts,
        unlearnt=not_learnt,
        audit=folder.audit,
        skipped=[(arm, step) for arm in folder.arms for step in arm.first.digest.skipped],
        num_skipped=sum(arm.first.digest.num_skipped for arm in folder.arms),
        environment=_environment(folder),
        best_release=_best_release(folder),
        loader=folder.arms[0].first.manifest.model.get("loader", ""),
        figures={chart.name: asdict(readings(chart)) for some in charts.values() for chart in some},
        reload_seconds=RELOAD_SECONDS if folder.status == "running" else 0,
    )


def _charts(folder: RunFolder) -> dict[str, list[Chart]]:
    """The charts of each section of the page; a section without numbers is empty."""
    training, scores = figures_life.training_loss(folder), figures_scores.scores(folder)
    return {
        "losses": figures_life.losses(folder),
        "rates": figures_life.rates(folder),
        "training": [] if training.is_empty else [training],
        "scores": [] if scores.is_empty else [scores],
        "mixtures": figures_data.mixtures(folder),
    }


def _facts(folder: RunFolder) -> list[str]:
    """The line under the title."""
    model = folder.arms[0].first.manifest.model
    size = model.get("num_parameters")
    return [
        words.plural(len(folder.arms), "arm"),
        words.plural(max(len(arm.plan) for arm in folder.arms), "stage"),
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


def _best_release(folder: RunFolder) -> tuple[Arm, str] | None:
    """The arm that ends lowest on average, and its last release relative to the run folder."""
    arm = verdict.best_arm(folder)
    release = arm.stages[-1].release
    return None if release is None else (arm, f"{arm.first.path}/{release}")
