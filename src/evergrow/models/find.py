"""From what a user typed to a model's folder: a folder, a run, a file or the hub; no torch yet."""

from collections.abc import Sequence
from pathlib import Path

from evergrow.errors import InputError
from evergrow.lineage import FOR_PEOPLE, READ
from evergrow.models.demo import demo_file, is_demo
from evergrow.models.folder import is_adapter, refuse_no_model
from evergrow.run import (
    nearest_path,
    only_run,
    read_manifest,
    refuse_missing,
    run_folders,
)

# Configuration, weights, tokenizer in any format, templates, and what a licence wants kept.
HUB_FILES = [*READ, *FOR_PEOPLE]
GGUF = ".gguf"
RUNS = "runs"  # where runs are kept, unless --runs says otherwise
_SUFFIXES = (".yaml", ".yml", ".json", ".safetensors", GGUF, ".bin", ".pt")


def find_model(source: str | Path, without: Sequence[str] | None = None) -> Path:
    """The local folder of a model: itself, the newest release of a run, or a hub id's snapshot.

    Of a GGUF file or a demo it is the folder that it is unpacked to (models/gguf), of an adapter of
    peft its base with the adapter merged in (models/adapters). A run is named by its folder, or by
    its recipe's where that has one run. Of a hub id what loading needs is fetched, or all but the
    patterns in ``without``; the hub is asked unless HF_HUB_OFFLINE is set, and a snapshot's folder
    is named by commit. What looks like a path is never asked of the hub. Raises InputError for what
    is not there.
    """
    path = Path(source).expanduser()
    if str(source) and path.is_dir():
        if is_adapter(path):
            return _merged(path)
        if (path / "config.json").exists() or not run_folders(path):
            refuse_no_model(path)
            return path
        return newest_release(only_run(path))
    if is_demo(str(source)):
        path = demo_file(str(source))
    if path.suffix == GGUF and path.is_file():
        from evergrow.models.gguf.folder import unpacked

        return unpacked(path)
    if is_path(source):
        refuse_missing(path, "give a model folder, a run or a hub id")
        raise InputError(f"{source}: a file, and no GGUF; give a model folder, a run or a hub id")
    folder = _from_hub(str(source), without)
    return _merged(folder) if is_adapter(folder) else folder


def _merged(folder: Path) -> Path:
    from evergrow.models.adapters import merged_folder  # which imports torch

    return merged_folder(folder, find_model)


def refuse_no_path(source: str) -> None:
    """Raise InputError for what looks like a path and leads to no model; asks no hub."""
    if is_path(source):
        find_model(source)


def is_path(source: str | Path) -> bool:
    """Whether a word names a place on this machine, if it names anything.

    It is there, or a slip away; its form is no hub id's; or it begins with a folder that is there
    or is where runs are kept.
    """
    if isinstance(source, Path) or not source or Path(source).exists():
        return True
    if is_demo(source):
        return False
    first, *rest = source.split("/")
    is_below = bool(rest) and (first == RUNS or nearest_path(Path(source)) is not None)
    is_hub_id = len(rest) < 2 and "\\" not in source and not source.endswith(("/", *_SUFFIXES))
    return is_below or source[0] in ".~/" or not is_hub_id or (bool(rest) and Path(first).exists())


def newest_release(run: Path) -> Path:
    """The folder of the last release of a run; raises InputError before there is one."""
    released = [stage for stage in read_manifest(run).stages if stage.release is not None]
    if not released:
        raise InputError(
            f"{run}: this run has no release yet; run its recipe again to finish its first stage"
        )
    return run / str(released[-1].release)


def _from_hub(name: str, without: Sequence[str] | None) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    allowed, ignored = (HUB_FILES, ["*/*"]) if without is None else (None, [*without])
    try:
        return Path(snapshot_download(name, allow_patterns=allowed, ignore_patterns=ignored))
    except (OSError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        there = f"{RUNS}/{name} is a run, if you mean that; else " if _is_run(name) else ""
        raise InputError(
            f"{name}: no folder of this name, and not to be had from the hub ({reason}); {there}"
            "give the path of a folder, or a hub id that is public or already downloaded"
        ) from error


def _is_run(name: str) -> bool:
    return bool(run_folders(Path(RUNS) / name))
