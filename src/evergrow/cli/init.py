"""The command init: a first recipe for a folder of files."""

from pathlib import Path
from typing import Annotated

import typer

from evergrow.cli.terminal import console

app = typer.Typer(rich_markup_mode=None)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Files of text, or pictures.")],
    model: Annotated[
        str | None,
        typer.Option(help="Go on with this one: a model folder, a GGUF file or a hub id."),
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Of recipe and run; default: the folder's.")
    ] = None,
) -> None:
    """Look at a folder's files and write a recipe for them, sized to them and this machine."""
    from evergrow.flow.init import write_recipe

    path, seen = write_recipe(folder, model, name)
    for sentence in seen:
        console.print(sentence, markup=False, soft_wrap=True)
    console.print(f"recipe: {path}; next: evergrow run {path}", soft_wrap=True)
