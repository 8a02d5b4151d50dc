"""A release of a Run: weights, tokenizer, and the record of how it came to be."""

import os
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from evergrow.lineage import Measured, Node, NodeKind
from evergrow.made import Settings
from evergrow.models.brought import recorded_dtype, round_weights
from evergrow.models.card import model_card
from evergrow.models.describe import describe
from evergrow.models.kind import kind_of
from evergrow.models.origin import read_origin
from evergrow.stage.architecture import read_growth
from evergrow.stage.beginning import begun_at
from evergrow.stage.work import Work
from evergrow.stream.plan import SampleStream
from evergrow.stream.proof import read_data_manifest

ADAPTER = "adapter"  # the folder of one beside the merged weights, for peft
_LINEAGE = {"name", "key", "mixture", "replay", "ledger", "first_step", "num_steps", "objective"}


def node_of(
    work: Work,
    key: str,
    kind: NodeKind,
    name: str,
    schedule: list[dict[str, JsonValue]],
    scores: list[Measured],
) -> Node:
    """What the model as it is now is in the lineage, called ``name`` and ``key``."""
    manifest, record = work.run.manifest, work.record
    way = [manifest.stages[place] for place in record.path]
    grown = [stage.name for stage in way if stage.grow is not None]
    details: dict[str, Any] = {
        "step": work.state.step,
        "passed": work.state.passed,
        "schedule": schedule,
        "start": manifest.start.model_dump(mode="json"),
        "stages": [stage.model_dump(mode="json", include=_LINEAGE) for stage in way],
    }
    if origin := read_origin(work.kept):
        details["derived_from"] = origin.model_dump(mode="json")
    if adapters := {
        s.name: s.adapters.model_dump(mode="json") for s in way if s.adapters is not None
    }:
        details["lora"] = adapters
    if corpora := corpora_fed(work):
        details["corpora"] = corpora
    if grown:
        details["growth"] = {name: _short(read_growth(work.run, name)) for name in grown}
    seed = f", seed {manifest.seed}"
    return Node(
        key=key,
        kind=kind,
        name=name,
        parents=_parents(work, kind),
        of=f"{manifest.name}, {manifest.arm}{seed}",
        evergrow=manifest.evergrow,
        commit=manifest.commit,
        counted=record.counted,
        fed=fed(work),
        scores=scores,
        details=details,
    )


def _parents(work: Work, kind: NodeKind) -> list[str]:
    """The keys of what a node goes on from: a branch from its stage, a soup from its ingredients, a
    stage from its beginning."""
    manifest, record = work.run.manifest, work.record
    if kind == "branch":
        return [record.key]
    if kind == "soup":
        return [manifest.stages[place].key for place in record.ingredients]
    return [begun_at(manifest, work.index)]


def round_to_release(work: Work) -> None:
    """Make the weights those that a release stores, so that what is measured is what it holds.

    Adapters are merged into them first, in fp32.
    """
    if work.adapter is not None:
        work.adapter.merge()
    round_weights(work.model, recorded_dtype(work.kept))


def write_release(work: Work, folder: Path, node: Node) -> None:
    """Write the model as it is now to ``folder``, with its node and the card that reads it."""
    model: Any = work.model
    facts = describe(model, work.train.sequence_length)
    start = work.run.manifest.start
    parent = work.recipe.model.from_ and start.source
    card = model_card(node, kind_of(model), facts, parent, read_origin(work.kept))
    work.objective.save(folder, model, card, node.to_data(), work.kept)
    lora = work.train.lora
    if work.adapter is not None and lora is not None and lora.release == "adapter":
        work.adapter.save(folder / ADAPTER, _base_of(work, folder))


def _base_of(work: Work, folder: Path) -> str:
    """What the adapter of a release goes on: a name, or a release's path from the adapter."""
    begin, manifest = work.record.begin, work.run.manifest
    if begin.stage is not None:
        release = work.run.folder / str(manifest.stages[begin.stage].release)
        return os.path.relpath(release, folder / ADAPTER)
    return begin.model or str(work.recipe.model.from_)


def corpora_fed(work: Work) -> dict[str, JsonValue]:
    """The corpora among the streams: key, parents, and the test suites each was checked against.

    An evaluation on a suite can say from it whether the training data was searched for its items.
    """
    found = {}
    for name, path in work.run.manifest.data.items():
        manifest = read_data_manifest(work.root / path)
        if corpus := manifest["created_from"].get("corpus"):
            found[name] = corpus
    return found


def _short(growth: Settings) -> Settings:
    """What a release says of a growth before it; the rest stands in the Run's growth.json."""
    return {name: growth[name] for name in ("grow", "exactness", "axes", "config", "loss")}


def fed(work: Work) -> dict[str, int]:
    """What each source gave on the way to the model as it is now, replayed samples included."""
    manifest, record = work.run.manifest, work.record
    names = {Path(path).name: name for name, path in manifest.data.items()}
    read = (work.state.step - record.first_step) * work.train.batch_size
    ledgers = [manifest.stages[place].ledger for place in record.path]
    ledgers[-1] = ledgers[-1].model_copy(update={"num_samples": read})
    stream = SampleStream(ledgers, manifest.seed)
    found: dict[str, int] = {}
    for index in range(len(ledgers)):
        for key, seen in stream.seen(index).items():
            found[names[key]] = found.get(names[key], 0) + seen.tokens
    return found
