"""What a command or a recipe asks for, looked at before anything heavy begins."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from evergrow.corpus.addresses import is_address, is_hub_id
from evergrow.corpus.config import ChatSourceConfig, SourceConfig
from evergrow.corpus.globs import match_paths
from evergrow.errors import InputError
from evergrow.recipe import AnySource, Recipe
from evergrow.run import nearest_path

TRAINER_STATE = "trainer_state.json"  # of a checkpoint of Hugging Face's Trainer


class Mix(NamedTuple):
    """Files that are mixed into a stage, and their share of its samples."""

    globs: Sequence[str]
    share: float


def refuse_no_files(patterns: Sequence[str], base: Path, where: str) -> None:
    """Raise InputError for a glob under ``base`` that matches nothing; nothing else is asked."""
    for pattern in patterns:
        if is_address(pattern) or match_paths(pattern, base, where) or is_hub_id(pattern):
            continue
        is_wild = bool(set(pattern) & set("*?["))
        meant = None if is_wild else nearest_path(base / Path(pattern).expanduser())
        way = "check the path" if meant is None else f"did you mean {_as_typed(meant, base)!r}?"
        raise InputError(f"{where}: {pattern!r} matches no file under {base}; {way}")


def refuse_no_rate(model: str, settings: Collection[str]) -> None:
    """Raise InputError where nobody says the rate at which a finished model goes on.

    A checkpoint of Hugging Face's Trainer may say it.
    """
    if "schedule.peak_lr" not in settings and not (Path(model) / TRAINER_STATE).is_file():
        raise no_rate(model)


def no_rate(model: str) -> InputError:
    """That a rate is to be given."""
    return InputError(
        f"{model}: give --peak-lr: a finished model does not say at which rate it was trained; "
        "0.3 to 1 times its documented peak is a start, lower forgets less"
    )


def _as_typed(path: Path, base: Path) -> str:
    return str(path.relative_to(base) if path.is_relative_to(base) else path)


def refuse_absent(recipe: Recipe, base: Path, root: Path) -> None:
    """Raise InputError for a source of a recipe without files; a run that is there may lack them.

    ``base`` is where the recipe's paths start, ``root`` where its run is kept.
    """
    if (root / "recipe.yaml").exists():
        return
    for name, source in recipe.sources.items():
        key, patterns = _patterns(source)
        refuse_no_files(patterns, base, f"sources.{name}.{key}")


def _patterns(source: AnySource) -> tuple[str, list[str]]:
    """The key of a source's globs, and these."""
    if isinstance(source, SourceConfig):
        return "files", source.files
    if isinstance(source, ChatSourceConfig):
        return "chats", source.chats
    return "images", source.images


def refuse_single(models: Sequence[str]) -> None:
    """Raise InputError for less than two models to be averaged."""
    if len(models) < 2:
        raise InputError(
            f"soup: expected two models or more, got {len(models)}; name the others too, or copy "
            "the one as it is"
        )
