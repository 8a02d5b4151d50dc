"""The command study: a question of a paper, its numbers and its claims."""

from typing import Annotated

import typer

from evergrow.cli.live import watching
from evergrow.cli.options import RUNS, Runs, settings_of
from evergrow.cli.terminal import console

app = typer.Typer(rich_markup_mode=None)
NAMES = (
    "infinite (13 CPU minutes for three seeds), decay (27), rewarm (12), growth (16), "
    "growth-bert (15), soup (4), rewarm-probe (4), microanneal (2) or microanneal-full (5)."
)


@app.command()
def study(
    name: Annotated[str, typer.Argument(help=NAMES)],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(
            help="key.path=value of its recipe; data.SOURCE=GLOB for your own files, data=GLOB "
            "for your own pictures; target.NAME=GLOB and from=MODEL for microanneal."
        ),
    ] = None,
    modality: Annotated[str, typer.Option(help="What the question is asked of: text, image.")] = (
        "text"
    ),
    runs: Runs = RUNS,
    seeds: Annotated[int, typer.Option(help="Seeds 0 to N - 1; run again with more to add.")] = 3,
    scale: Annotated[
        str | None, typer.Option(help="Other sizes than those for two cores: gpu.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Delete what the run made so far.")] = False,
) -> None:
    """One question of one paper: paired seeds, and a verdict on each of its claims."""
    from evergrow.studies import find_study

    settings = settings_of(overrides)
    asked = find_study(name, modality, settings)
    from evergrow.studies.harness import carry_out_study, study_recipe
    from evergrow.studies.table import claims_table, numbers_table, what_is_missing

    recipe = study_recipe(asked, seeds, settings, scale)
    with watching() as listener:
        findings = carry_out_study(asked, recipe, runs, listener, fresh)
    console.print(numbers_table(findings), claims_table(findings), sep="\n")
    for note in findings.notes:
        console.print(note)
    if sentence := what_is_missing(findings):
        console.print(sentence, soft_wrap=True)
    console.print(f"report: {runs / recipe.name / 'report.html'}", soft_wrap=True)
