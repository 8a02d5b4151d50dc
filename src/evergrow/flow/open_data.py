"""The data folders of a Run opened as what they hold: text, or pictures."""

from collections.abc import Mapping
from pathlib import Path

from evergrow.flow.modality import Modality
from evergrow.recipe import Recipe
from evergrow.run import Manifest


def sizes_of(recipe: Recipe, data: Mapping[str, Path]) -> dict[str, int]:
    """Samples of every data folder, by the folder's name; ``data`` is source -> folder."""
    if recipe.of_pictures:
        from evergrow.flow.pictures import checked_sizes

        return checked_sizes(recipe, data)
    from evergrow.stream.shards import TokenSource

    length = recipe.train.sequence_length
    return {p.name: TokenSource.open(p).num_windows(length) for p in data.values()}


def open_modality(recipe: Recipe, root: Path, manifest: Manifest) -> Modality:
    """Open the data folders that a manifest names, below ``root``."""
    if recipe.of_pictures:
        from evergrow.flow.pictures import Pictures  # text needs neither Pillow nor scikit-learn

        return Pictures(recipe, root, manifest)
    from evergrow.flow.text import Text

    return Text(recipe, root, manifest)
