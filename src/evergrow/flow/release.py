"""A release of a Run: weights, tokenizer, and the record of how it came to be."""

import json
from pathlib import Path
from typing import Any

from evergrow.flow.architecture import read_growth
from evergrow.flow.work import Work
from evergrow.models.card import model_card
from evergrow.models.describe import describe
from evergrow.models.kind import kind_of
from evergrow.run import FORMAT


def write_release(
    work: Work,
    folder: Path,
    name: str,
    schedule: list[dict[str, Any]],
    scores: list[dict[str, Any]],
) -> None:
    """Write the model as it is now to ``folder``; ``scores`` are its lines of evals.jsonl."""
    manifest = work.run.manifest
    stages = manifest.stages[: work.index + 1]
    parent = work.recipe.model.from_
    fed = tokens_fed(work)
    model: Any = work.model
    grown = [stage.name for stage in stages if stage.grow is not None]
    record = {
        "format": FORMAT,
        "evergrow": manifest.evergrow,
        "commit": manifest.commit,
        "name": manifest.name,
        "arm": manifest.arm,
        "seed": manifest.seed,
        "release": name,
        "parent": parent,
        "step": work.state.step,
        "tokens": work.state.step * work.recipe.train.tokens_per_step,
        "tokens_by_source": fed,
        "stages": [s.model_dump(mode="json", include=_LINEAGE) for s in stages],
        "schedule": schedule,
        "scores": scores,
        **({"corpora": corpora} if (corpora := corpora_fed(work)) else {}),
        **(
            {"growth": {name: _short(read_growth(work.run, name)) for name in grown}}
            if grown
            else {}
        ),
    }
    card = model_card(
        f"{manifest.name}, {manifest.arm}: {name}",
        kind_of(model),
        describe(model, work.recipe.train.sequence_length),
        parent,
        fed,
        [phrase(segment) for segment in schedule],
        {s["source"]: (s["loss"], s["low"], s["high"]) for s in scores},
    )
    work.data.save_release(folder, model, card, record)


def corpora_fed(work: Work) -> dict[str, Any]:
    """The corpora among the streams: key, parents, and the test suites each was checked against.

    An evaluation on a suite can say from it whether the training data was searched for its items.
    """
    found = {}
    for name, path in work.run.manifest.data.items():
        manifest = json.loads((work.root / path / "manifest.json").read_text(encoding="utf-8"))
        if corpus := manifest["created_from"].get("corpus"):
            found[name] = corpus
    return found


def _short(growth: dict[str, Any]) -> dict[str, Any]:
    """What a release says of a growth before it; the rest stands in the Run's growth.json."""
    return {name: growth[name] for name in ("grow", "exactness", "axes", "config", "loss")}


_LINEAGE = {"name", "key", "parent", "mixture", "replay", "ledger", "first_step", "num_steps"}


def tokens_fed(work: Work) -> dict[str, int]:
    """Tokens of each source up to the end of the stage, replayed ones included."""
    names = {Path(path).name: name for name, path in work.run.manifest.data.items()}
    fed: dict[str, int] = {}
    for stage in work.run.manifest.stages[: work.index + 1]:
        for key, seen in stage.seen.items():
            num_samples = seen.last - seen.first + seen.replayed
            fed[names[key]] = (
                fed.get(names[key], 0) + num_samples * work.recipe.train.sequence_length
            )
    return fed


def phrase(segment: dict[str, Any]) -> str:
    """A piece of the learning rate in words."""
    end = "on" if segment["end"] is None else f"to {segment['end']:,} tokens"
    if segment["shape"] == "constant":
        return f"from {segment['start']:,} {end}: {segment['from_lr']:.3g}"
    return (
        f"from {segment['start']:,} {end}: {segment['from_lr']:.3g} to {segment['to_lr']:.3g}, "
        f"{segment['shape']}"
    )
