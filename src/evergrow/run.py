"""One Run on disk: manifest, append-only records and checkpoints; files, not models."""

import difflib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import JsonValue

from evergrow.config import Config, Count, Record, damage, decode
from evergrow.disk import append_file, checksum, new_folder, read_object, sealed, write_file
from evergrow.errors import EvergrowError, InputError
from evergrow.lineage import Soup

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 2
RECORDS = ("metrics", "evals", "timing")
REPLAYED_RECORDS = ("metrics", "evals")  # cut back on resume; timing is a clock


class Seen(Config):
    """A range of samples of one source, in the source's own reading order."""

    first: int
    last: int
    epochs: float
    replayed: int
    tokens: int  # of new and replayed samples together; pictures, where those are read


class Ledger(Config):
    """How a stage chose its samples: with its ancestors' ledgers every sample can be recomputed.

    ``order`` counts from 1 the orders in which it may read them; ``sizes`` are the samples of each
    source as the stage cuts it, ``tokens_an_item`` what one of them holds: a window's length, 1
    picture, the mean of examples.
    """

    shares: dict[str, int]
    replay_shares: tuple[int, int]
    replay_order: Literal["seen", "reshuffled"]
    num_samples: int
    sizes: dict[str, int]
    tokens_an_item: dict[str, float]
    order: int = 1


class Counts(Config):
    """The model that a stage trains in numbers, as ``models.describe`` counts them.

    ``sub_models`` holds operations a token by depth, where two-stage training has any; of adapters
    ``num_trained`` are the parameters, and checkpoints hold no others.
    """

    num_parameters: int
    num_layers: int
    flops_per_token: int
    checkpoint_bytes: int
    num_trained: int | None = None
    sub_models: dict[int, int] = {}


class Adapters(Config):
    """The adapters of a stage, on ``targets`` of the blocks of what has the key ``base``."""

    rank: int
    alpha: float
    dropout: float
    targets: list[str]
    num_trained: int
    base: str


class Begin(Config):
    """Where a stage begins: at the start model, another stage's trunk or release, or a model.

    ``stage`` is the place of that stage in the Run; ``model`` is a folder outside, whose weights
    have the hash ``key``.
    """

    kind: Literal["start", "trunk", "release", "model"]
    stage: int | None = None
    model: str | None = None
    key: str | None = None


class StageRecord(Config):
    """A stage of a Run: what it is, where it stands, what came of it. Steps count from the start
    model, on the way through the stages before it.

    The schedule's clock stands at ``clock`` when the stage begins and moves ``per_step`` a step:
    tokens or pictures, as ``counted`` says; of examples, which differ, the mean. ``path`` are the
    places of the stages on the way to this one, itself the last.
    """

    name: str
    key: str
    begin: Begin
    path: list[int]
    status: Literal["pending", "training", "done"] = "pending"
    first_step: Count
    num_steps: Count
    fork_step: Count | None
    clock: Count
    per_step: Count
    counted: str
    unit: str
    objective: str
    mixture: dict[str, float]
    replay: dict[str, JsonValue]
    grow: dict[str, JsonValue] | None = None  # the model grew before this stage
    model: Counts | None = None  # of the model trained in it, once it has begun
    adapters: Adapters | None = None  # where these are all that is trained, likewise
    schedule: list[dict[str, JsonValue]]
    release_schedule: list[dict[str, JsonValue]] | None
    ledger: Ledger
    seen: dict[str, Seen]
    shared_with: str | None = None
    release: str | None = None
    offsets: dict[str, int] = {}
    ingredients: list[int] = []  # places of the orders it is made of; it trains nothing itself
    soup: Soup | None = None  # what it made of them, once it has
    digests: dict[str, str] = {}  # hashes of the records up to there

    @property
    def last_step(self) -> int:
        """The step at which the trunk ends."""
        return self.first_step + self.num_steps

    @property
    def trunk_end(self) -> int:
        """The step it is trained to; of a further order nothing goes on behind the fork."""
        return self.last_step if self.ledger.order == 1 else self.fork_step or self.last_step

    @property
    def all_steps(self) -> int:
        """The steps that are trained, of the trunk and of the release that leaves it."""
        forked = 0 if self.fork_step is None else self.last_step - self.fork_step
        return 0 if self.ingredients else self.trunk_end - self.first_step + forked

    @property
    def tokens(self) -> int:
        """The stage's length on the clock."""
        return self.num_steps * self.per_step

    def clock_at(self, step: int) -> int:
        """What the schedule's clock shows after ``step``."""
        return self.clock + (step - self.first_step) * self.per_step


class Start(Config):
    """The model that a Run starts from: its name in the recipe, its kind, what it is by content.

    ``key`` is a hash of weights, configuration and tokenizer; of a model made from scratch, of its
    settings, seed and tokenizer.
    """

    source: str
    kind: str
    key: str


class Branch(Config):
    """A release made on request from the trunk's head."""

    name: str
    key: str
    stage: str
    from_step: int
    tokens: int
    release: str


class Manifest(Config):
    """Everything that made this Run; paths inside are relative to the Run's folder."""

    format: int = FORMAT
    evergrow: str
    commit: str | None
    name: str
    arm: str
    seed: int
    recipe: dict[str, JsonValue]
    environment: dict[str, JsonValue]
    start: Start
    model: dict[str, JsonValue]
    kept: dict[str, str] = {}  # the files of model/, and their hashes
    data: dict[str, str]
    stages: list[StageRecord]
    branches: list[Branch] = []
    status: Literal["running", "done", "failed", "stopped"] = "running"
    error: str | None = None


class StoredTensors(Record):
    """A file of a checkpoint."""

    bytes: int
    blake3: str


class CheckpointState(Record):
    """What ``state.json`` says of a checkpoint: its files, how far the clock had come, the lengths
    of the records in bytes, and the schedule in force."""

    files: dict[str, StoredTensors]
    passed: int
    offsets: dict[str, int]
    schedule: list[dict[str, JsonValue]]


class Run:
    """The folder of one arm with one seed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def save(self, **changes: Any) -> None:
        """Write the manifest with ``changes`` to its fields."""
        self.manifest = self.manifest.model_copy(update=changes)
        write_manifest(self.folder, self.manifest)

    def save_stage(self, index: int, **changes: Any) -> None:
        """Write the manifest with ``changes`` to the fields of stage ``index``."""
        stages = list(self.manifest.stages)
        stages[index] = stages[index].model_copy(update=changes)
        self.save(stages=stages)

    def append(self, record: str, lines: Sequence[Mapping[str, Any]]) -> None:
        """Add lines to one of RECORDS; keys are sorted, so that bytes repeat."""
        text = "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines)
        append_file(self.folder / f"{record}.jsonl", text)

    def read(self, record: str) -> list[dict[str, Any]]:
        """The lines of a record written so far; one that is still being written is not there."""
        path = self.folder / f"{record}.jsonl"
        if not path.exists():
            return []
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        return [_line(path, number, line) for number, line in enumerate(whole.splitlines(), 1)]

    def offsets(self) -> dict[str, int]:
        """The length in bytes of each replayed record, after making it durable."""
        found = {}
        for record in REPLAYED_RECORDS:
            path = self.folder / f"{record}.jsonl"
            path.touch()
            with path.open("rb") as file:
                os.fsync(file.fileno())
            found[record] = path.stat().st_size
        return found

    def digests(self) -> dict[str, str]:
        """The hash of each replayed record as it is now."""
        return {name: checksum(self.folder / f"{name}.jsonl") for name in REPLAYED_RECORDS}

    def cut(self, offsets: Mapping[str, int]) -> None:
        """Drop what was recorded after ``offsets``; absent records count as 0.

        Raises EvergrowError when a record is shorter than the offset: it was damaged from outside.
        """
        for record in REPLAYED_RECORDS:
            path = self.folder / f"{record}.jsonl"
            path.touch()
            wanted, found = offsets.get(record, 0), path.stat().st_size
            if found < wanted:
                raise EvergrowError(
                    f"{path}: holds {found} bytes where the checkpoint expects {wanted}; the file "
                    "was changed from outside, so restore it or start again with --fresh"
                )
            os.truncate(path, wanted)


def _line(path: Path, number: int, line: bytes) -> dict[str, Any]:
    """A line of a record. Raises EvergrowError for a damaged one."""
    try:
        found = json.loads(line)
    except ValueError as error:
        raise EvergrowError(f"{path}:{number}: damaged ({error}); {MEND}") from error
    if not isinstance(found, dict):
        raise EvergrowError(f"{path}:{number}: damaged (no record); {MEND}")
    return found


MEND = "restore the file from a copy, or start again with --fresh"


def read_manifest(folder: Path) -> Manifest:
    """Read ``manifest.json``; raises InputError when it is missing, broken or of a newer format."""
    path = folder / "manifest.json"
    if not path.exists():
        raise InputError(
            f"{folder}: no run here (manifest.json is missing); 'evergrow list' shows runs"
        )
    data = read_object(path, "restore it from a copy", InputError)
    refuse_older(data.get("format"), FORMAT, path)
    return decode(Manifest, data, "manifest")


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace ``manifest.json`` in one step; it is sealed with a hash of itself."""
    data = sealed(json.loads(manifest.model_dump_json()))
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    write_file(folder / "manifest.json", text)


def refuse_newer(found: object, known: int, path: Path) -> None:
    """Raise InputError unless ``found`` is a format number this version reads."""
    if not isinstance(found, int):
        raise InputError(f"{path}: expected a format number, got {found!r}; restore it from a copy")
    if found > known:
        raise InputError(
            f"{path}: format {found} is newer than {known}, the newest this version reads; "
            "upgrade evergrow"
        )


def refuse_older(found: object, known: int, path: Path) -> None:
    """Raise InputError for what an earlier version of evergrow wrote; see ``refuse_newer`` too."""
    refuse_newer(found, known, path)
    if isinstance(found, int) and found < known:
        raise InputError(
            f"{path}: format {found} was written by an earlier evergrow and is read no more, this "
            f"one writes {known}; its releases can be continued by name, or start over with --fresh"
        )


def run_folders(path: Path) -> list[Path]:
    """The folders of the runs at ``path``: itself, or those of a recipe's folder."""
    if (path / "manifest.json").exists():
        return [path]
    below = sorted(path.glob("*/manifest.json")), sorted(path.glob("*/seed-*/manifest.json"))
    return [manifest.parent for manifests in below for manifest in manifests]


def only_run(path: Path) -> Path:
    """The folder of the run at ``path``, or of the only one that the recipe's folder there has.

    Raises InputError for a path that is not there, for one without a run, and for several.
    """
    refuse_missing(path, "'evergrow list' shows the runs there are")
    found = run_folders(path)
    if not found and path.is_file():
        raise InputError(f"{path}: a file; name the run's folder, such as runs/{path.stem}")
    if not found:
        raise InputError(f"{path}: no run here; {_inside(path)}")
    if len(found) > 1:
        names = ", ".join(run.relative_to(path).as_posix() for run in found)
        raise InputError(f"{path}: holds several runs ({names}); name one, such as {found[0]}")
    return found[0]


def _inside(path: Path) -> str:
    """The way out for a folder without a run: the run that it lies in, where it lies in one."""
    whole = path.absolute()
    for above in (whole, *whole.parents[:3]):
        if (above / "manifest.json").exists():
            return f"it belongs to the run {above}; name that"
    return "'evergrow list' shows the runs there are"


def root_of(run: Run) -> Path:
    """The recipe's folder above a Run; raises InputError when the Run was moved out of it."""
    for folder in (run.folder.parent, run.folder.parent.parent):
        if (folder / "data").is_dir():
            return folder
    raise InputError(
        f"{run.folder}: the data folder it was trained with is not above it; "
        "move the whole recipe folder, not one run of it"
    )


def refuse_missing(path: Path, rule: str) -> None:
    """Raise InputError for a path that is not there; the way out is the nearest one that is, or
    ``rule``."""
    if not path.exists():
        meant = nearest_path(path)
        way = rule if meant is None else f"did you mean {str(meant)!r}?"
        raise InputError(f"{path}: no such file or folder; {way}")


def nearest_path(path: Path) -> Path | None:
    """What is there and differs from ``path`` by a slip in one name of it."""
    missing = next(place for place in (*reversed(path.parents), path) if not place.exists())
    beside = missing.parent.iterdir() if missing.parent.is_dir() else []
    similar = difflib.get_close_matches(missing.name, [place.name for place in beside], 1)
    meant = missing.with_name(similar[0]) / path.relative_to(missing) if similar else missing
    return meant if meant.exists() else None


def save_checkpoint(
    folder: Path, tensors: Mapping[str, Mapping[str, "Tensor"]], state: Mapping[str, Any]
) -> None:
    """Write each group of tensors as a safetensors file; ``state.json`` has checksums."""
    from safetensors.torch import save_file

    with new_folder(folder) as temporary:
        files = {}
        for name, group in tensors.items():
            path = temporary / f"{name}.safetensors"
            # Only `format`: the order of several metadata keys is random per process.
            save_file(dict(group), path, metadata={"format": "pt"})
            files[path.name] = {"bytes": path.stat().st_size, "blake3": checksum(path)}
        _write_state(temporary, {"format": FORMAT, **state, "files": files})


def _write_state(folder: Path, state: Mapping[str, Any]) -> None:
    text = json.dumps(sealed(state), indent=1, sort_keys=True) + "\n"
    write_file(folder / "state.json", text)


def change_checkpoint_state(folder: Path, **changes: object) -> None:
    """Replace the ``state.json`` of a checkpoint by one with ``changes``, if these change it.

    It is a new file: a checkpoint that is linked elsewhere keeps its own there.
    """
    state = read_object(folder / "state.json", _way_back(folder))
    if state | changes != state:
        _write_state(folder, state | changes)


def read_checkpoint_state(folder: Path) -> CheckpointState:
    """The ``state.json`` of a checkpoint; raises InputError when missing or of a newer format.

    Raises EvergrowError when it is damaged.
    """
    path = folder / "state.json"
    if not path.exists():
        raise InputError(f"{folder}: no checkpoint here (state.json is missing)")
    state = read_object(path, _way_back(folder))
    refuse_newer(state.get("format"), FORMAT, path)
    try:
        return CheckpointState.model_validate(state)
    except ValueError as error:
        raise EvergrowError(f"{path}: {damage(error)}; {_way_back(folder)}") from error


def load_checkpoint(folder: Path) -> dict[str, dict[str, "Tensor"]]:
    """The tensors of a checkpoint by file; raises EvergrowError for a missing or changed one."""
    from safetensors.torch import load_file

    groups = {}
    for name, stored in read_checkpoint_state(folder).files.items():
        path = folder / name
        if not path.exists():
            raise EvergrowError(f"{path}: missing; {_way_back(folder)}")
        if checksum(path) != stored.blake3:
            raise EvergrowError(
                f"{path}: damaged ({path.stat().st_size} of {stored.bytes} bytes, and the "
                f"checksum differs); {_way_back(folder)}"
            )
        groups[path.stem] = load_file(path)
    return groups


def _way_back(folder: Path) -> str:
    return f"delete {folder} to go on from the checkpoint before it"


def drop_checkpoint(folder: Path) -> None:
    """Delete a checkpoint; renamed first, so that a kill in between leaves no half of it.

    What such a kill left hidden of earlier ones goes too.
    """
    folder.rename(folder.with_name(f".{folder.name}.writing-dropped"))
    for doomed in folder.parent.glob(".*.writing-dropped"):
        shutil.rmtree(doomed)
