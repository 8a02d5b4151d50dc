"""How data lies on disk: token shards, pictures, examples; each opened as a stock of items."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from evergrow.errors import EvergrowError
from evergrow.stream.examples import ExampleSource
from evergrow.stream.proof import WAY_OUT, read_data_manifest
from evergrow.stream.shards import TokenSource


def _pictures(folder: Path) -> Any:
    from evergrow.stream.pictures import PictureSource  # its packages are an extra

    return PictureSource.open(folder)


FORMS: dict[str, Callable[[Path], Any]] = {
    "tokens": TokenSource.open,
    "pictures": _pictures,
    "examples": ExampleSource.open,
}


def open_stock(folder: Path) -> Any:
    """A data folder as what it holds; raises EvergrowError when it is missing or not whole."""
    manifest = read_data_manifest(folder)
    try:
        return FORMS[manifest["form"]](folder)
    except (KeyError, TypeError) as error:  # a manifest that lacks what every one has
        raise EvergrowError(
            f"{folder / 'manifest.json'}: damaged ({error!r}); {WAY_OUT}"
        ) from error
