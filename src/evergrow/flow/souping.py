"""``soup``: the average of models that are there, or the best of them, measured first."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from evergrow.config import decode
from evergrow.disk import new_folder
from evergrow.errors import InputError
from evergrow.flow.asked import refuse_single
from evergrow.flow.find import find_root
from evergrow.flow.look import measure_files, run_of
from evergrow.flow.units import KEY_DIGITS
from evergrow.lineage import AVERAGE, Measured, Node, Soup, read_node, write_node
from evergrow.listener import Listener
from evergrow.made import Made
from evergrow.models.card import model_card
from evergrow.models.describe import describe
from evergrow.models.find import find_model
from evergrow.models.kind import kind_of
from evergrow.models.load import load_model, model_key, weight_files
from evergrow.models.soup import copy_beside, refuse_others, write_average
from evergrow.recipe import Recipe
from evergrow.scores.measure import measure_release
from evergrow.scores.opening import Opened
from evergrow.stage.orders import best_of, in_words
from evergrow.stage.versions import VERSION, commit, package_version
from evergrow.stream.tokenizer import load_tokenizer, tokenizer_hash

INDEX = "model.safetensors.index.json"
WINDOW = 512  # tokens, of a model without its own


class Souped(NamedTuple):
    """Where the best stands, what it was chosen from, and what each of them scores."""

    folder: Path
    soup: Soup
    scores: dict[str, list[Measured]]


def soup(models: Sequence[str], out: Path, evaluate: Sequence[str], listener: Listener) -> Souped:
    """Average ``models``, measure each and the average, and write the best of all to ``out``.

    Measured on the files that the globs of ``evaluate`` match, else on the streams of the run that
    all of them are releases of. Raises InputError for less than two models, for others in shape or
    tokenizer, for folders that are no releases of one run where no files are given, and when
    ``out`` is there.
    """
    refuse_single(models)
    if out.exists():
        raise InputError(f"--out: {out} is there already; name a new folder")
    folders = _named(models)
    refuse_others([*folders.values()])
    refuse_other_tokenizers([*folders.values()])
    keys = {name: _key(folder) for name, folder in folders.items()}
    keys[AVERAGE] = Made(
        version=VERSION, settings={"soup": AVERAGE}, inputs={k: k for k in keys.values()}
    ).key[:KEY_DIGITS]
    out.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".soup-", dir=out.parent) as there:
        folders[AVERAGE] = Path(there) / "average"
        write_average([f for name, f in folders.items() if name != AVERAGE], folders[AVERAGE])
        scores = _scores(folders, keys, evaluate, listener)
        made = best_of(keys, *_losses(scores, folders))
        listener.say(in_words(made))
        _write(out, folders, made, scores[made.chosen])
    return Souped(out, made, scores)


def _named(models: Sequence[str]) -> dict[str, Path]:
    """The folder of every model by a name for it; raises InputError for one given twice.

    Of a folder the end of its path that no other has: where it lies is nobody else's business.
    """
    folders: list[Path] = []
    for model in models:
        folder = find_model(model)
        if any(one.samefile(folder) for one in folders):
            raise InputError(
                f"soup: {model} is given twice, which would only weigh it twice; name each once"
            )
        folders.append(folder)
    parts = [folder.resolve().parts for folder in folders]
    depth = next(n for n in range(1, 99) if len({part[-n:] for part in parts}) == len(parts))
    return {
        "/".join(part[-depth:]) if Path(model).expanduser().is_dir() else model: folder
        for model, part, folder in zip(models, parts, folders, strict=True)
    }


def refuse_other_tokenizers(folders: Sequence[Path]) -> None:
    """Raise InputError unless the models read by one tokenizer; those of pictures have none."""
    if not any((folder / "tokenizer.json").exists() for folder in folders):
        return
    first, one = folders[0], load_tokenizer(folders[0])
    pieces = {number: piece for piece, number in one.get_vocab().items()}
    for other in folders[1:]:
        two = load_tokenizer(other)
        others = {number: piece for piece, number in two.get_vocab().items()}
        for number in sorted({*pieces, *others}):
            if pieces.get(number) != others.get(number):
                raise InputError(
                    f"{other}: its tokenizer has {others.get(number)!r} at id {number}, where "
                    f"that of {first} has {pieces.get(number)!r}; only models that read by one "
                    "tokenizer can be averaged"
                )
        if tokenizer_hash(one) != tokenizer_hash(two):
            raise InputError(
                f"{other}: its tokenizer has the ids of that of {first} and cuts text by other "
                "rules; only models that read by one tokenizer can be averaged"
            )


def _key(folder: Path) -> str:
    node = read_node(folder)
    return model_key(folder)[:KEY_DIGITS] if node is None else node.key


def _scores(
    folders: dict[str, Path], keys: dict[str, str], evaluate: Sequence[str], listener: Listener
) -> dict[str, list[Measured]]:
    """What every model scores, by its name."""
    if evaluate:
        return {name: measure_files(folder, evaluate) for name, folder in folders.items()}
    roots = {name: _root(name, f) for name, f in folders.items() if name != AVERAGE}
    if len({*roots.values()}) > 1:
        one, two = next((a, b) for a in roots for b in roots if roots[a] != roots[b])
        raise InputError(
            f"{two}: belongs to another run than {one}, so they have no held-out text in common; "
            "say with --evaluate on which files to measure"
        )
    run = run_of(next(iter(folders.values())))
    recipe, manifest = decode(Recipe, run.manifest.recipe, "manifest.recipe"), run.manifest
    root = next(iter(roots.values()))
    opened = Opened.at(recipe, root, manifest.data, manifest.start.kind, manifest.seed)
    return {
        name: measure_release(
            opened, root, keys[name], lambda f=folder: load_model(f), False, listener.say
        )
        for name, folder in folders.items()
    }


def _root(name: str, folder: Path) -> Path:
    """The recipe's folder of a release; raises InputError for a model that no run released."""
    try:
        return find_root(run_of(folder).folder)
    except InputError as error:
        raise InputError(
            f"{name}: belongs to no run here; say with --evaluate on which files to measure"
        ) from error


def _losses(
    scores: dict[str, list[Measured]], folders: dict[str, Path]
) -> tuple[dict[str, float], list[str], str]:
    """The mean loss of every model on what one of them learnt, else on all; on what, in which unit.

    A file has a part of its own; a run's sources that were only measured have no say.
    """
    measured = [line.source for line in scores[AVERAGE]]
    nodes = [read_node(folder) for folder in folders.values()]
    fed = {source for node in nodes if node is not None for source, n in node.fed.items() if n}
    judged = [source for source in measured if source in fed] or measured
    losses = {}
    for name, lines in scores.items():
        told = {line.source: line.loss for line in lines}
        losses[name] = sum(told[source] for source in judged) / len(judged)
    return losses, judged, scores[AVERAGE][0].unit


def _write(out: Path, folders: dict[str, Path], made: Soup, scores: list[Measured]) -> None:
    """The chosen model's folder, with the record and the card of a soup."""
    parts = [folder for name, folder in folders.items() if name != AVERAGE]
    model: Any = load_model(folders[made.chosen])
    node = _node(out.name, parts, made, scores)
    facts = describe(model, WINDOW)
    card = model_card(node, kind_of(model), facts, "the models below")
    with new_folder(out) as unfinished:
        chosen = folders[made.chosen]
        copy_beside(parts[0] if made.chosen == AVERAGE else chosen, unfinished)
        for file in weight_files(chosen):
            shutil.copyfile(file, unfinished / file.name)
        if (chosen / INDEX).exists():
            shutil.copyfile(chosen / INDEX, unfinished / INDEX)
        (unfinished / "README.md").write_text(card, encoding="utf-8")
        write_node(unfinished, node.to_data())


def _node(name: str, parts: Sequence[Path], made: Soup, scores: list[Measured]) -> Node:
    """The soup in the lineage. It was fed what its models were, of each source the most."""
    nodes = [node for folder in parts if (node := read_node(folder)) is not None]
    fed: dict[str, int] = {}
    for node in nodes:
        fed |= {source: max(n, fed.get(source, 0)) for source, n in node.fed.items()}
    inputs = {key: key for key in made.shares}
    settings: dict[str, Any] = {"soup": "best", "measured_on": list(made.measured_on)}
    return Node(
        key=Made(version=VERSION, settings=settings, inputs=inputs).key[:KEY_DIGITS],
        kind="soup",
        name=name,
        parents=[*made.shares],
        evergrow=package_version(),
        commit=commit(),
        counted=nodes[0].counted if nodes else "tokens",
        fed=fed,
        scores=scores,
        details={"soup": made.model_dump(mode="json")},
    )
