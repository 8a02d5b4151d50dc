"""Command soup: the average of models, or the best of them; its table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from evergrow.cli.live import watching
from evergrow.cli.options import Json, ManyFiles
from evergrow.cli.terminal import beside, console, print_json

if TYPE_CHECKING:
    from evergrow.flow.souping import Souped

app = typer.Typer(rich_markup_mode=None)


@app.command(cls=ManyFiles)
def soup(
    models: Annotated[
        list[str],
        typer.Argument(metavar="MODEL MODEL ...", help="Releases, model folders or hub ids."),
    ],
    out: Annotated[Path, typer.Option(help="The new folder.")],
    evaluate: Annotated[
        list[str] | None,
        typer.Option(help="Files to measure on; default: the held-out streams of their run."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Average models, measure each and the average, and write the best of all as a release."""
    from evergrow.flow.asked import refuse_no_files, refuse_single
    from evergrow.models.find import refuse_no_path

    refuse_single(models)
    refuse_no_files(evaluate or [], Path.cwd(), "--evaluate")
    for model in models:
        refuse_no_path(model)
    from evergrow.flow.souping import soup

    with watching(beside if as_json else None) as listener:
        made = soup(models, out, evaluate or [], listener)
    if as_json:
        print_json({"folder": str(made.folder), **made.soup.model_dump(mode="json")})
        return
    show_soup(made)
    console.print(f"release: {made.folder}", soft_wrap=True)


def show_soup(made: "Souped") -> None:
    """Every model and the average: the loss it is judged by, its share, its loss by source."""
    sources = [line.source for line in next(iter(made.scores.values()))]
    table = Table("model", made.soup.unit, "share", *sources)
    for one in made.soup.candidates:
        share = made.soup.shares.get(one.key)
        name = f"{one.name} (chosen)" if one.name == made.soup.chosen else one.name
        losses = [f"{line.loss:.4f}" for line in made.scores[one.name]]
        table.add_row(name, f"{one.loss:.4f}", "" if share is None else f"{share:.3g}", *losses)
    console.print(table)
