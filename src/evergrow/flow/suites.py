"""Scores of models on suites: whose they are, where they are kept, and two models compared."""

from pathlib import Path
from typing import Any

from transformers.tokenization_utils_base import PreTrainedTokenizerBase

from evergrow.errors import InputError
from evergrow.evals.suites.config import Asked
from evergrow.evals.suites.items import Suite, open_suite
from evergrow.evals.suites.paired import Paired, paired
from evergrow.evals.suites.records import SuiteScore
from evergrow.flow.find import find_root
from evergrow.lineage import Node, read_node
from evergrow.models.find import RUNS, find_model
from evergrow.models.kind import OF_PICTURES, kind_of
from evergrow.models.load import load_model, model_key
from evergrow.scores.suites import Scored, score_suite
from evergrow.stream.tokenizer import load_tokenizer
from evergrow.train.loop import device_called

UNKNOWN = "unknown: what this model was trained on is not recorded"


def evaluate_suite(
    models: list[str],
    wanted: str,
    asked: Asked,
    answers: Path | None = None,
    allow_unsandboxed: bool = False,
) -> list[SuiteScore]:
    """Score each of one or two models on the suite ``wanted``, a name or a file.

    Scores of a run's releases are kept beside its others, those of other models in runs/scores.
    Raises InputError for ``answers`` of two models, and what ``score_suite`` refuses.
    """
    if answers is not None and len(models) > 1:
        raise InputError("--answers: are those of one model; name one")
    suite = open_suite(wanted)
    return [
        score_suite(scored(model), suite, asked, answers, allow_unsandboxed) for model in models
    ]


def compared(first: SuiteScore, second: SuiteScore) -> Paired:
    """Two scores on the same items, item by item."""
    other = {item.id: item.value for item in second.items}
    return paired(
        [item.value for item in first.items],
        [other[item.id] for item in first.items],
        [item.cluster for item in first.items],
    )


def scored(model: str | Path) -> Scored:
    """The model at a path, as a run's release or by itself."""
    folder = find_model(model)
    node = read_node(folder)
    in_run = folder.parent.name == "releases" and (folder.parent.parent / "manifest.json").exists()
    root = find_root(folder.parent.parent) if in_run else Path(RUNS)
    key = node.key if in_run and node is not None else model_key(folder)

    def load() -> tuple[Any, PreTrainedTokenizerBase]:
        loaded: Any = load_model(folder)
        if kind_of(loaded) in OF_PICTURES:
            raise InputError(f"{folder}: reads pictures; a suite asks language models")
        return loaded.to(device_called("auto")), load_tokenizer(folder)

    return Scored(root, key, str(model), load, lambda suite: searched(node, suite))


def searched(node: Node | None, suite: Suite) -> str:
    """Whether what a model was fed was searched for a suite's items, as its release records it."""
    if node is None:
        return UNKNOWN
    details: Any = node.details  # plain data, as stage/release.py writes it
    corpora = details.get("corpora", {})
    hits = documents = 0
    for source in sorted(name for name, amount in node.fed.items() if amount):
        checked = [
            one
            for one in corpora.get(source, {}).get("checked_against", [])
            if one["digest"] == suite.searched_as
        ]
        if not checked:
            return f"no: {source} was not searched for it (corpora: decontaminate)"
        hits += checked[0]["num_items_found"]
        documents += checked[0]["num_documents"]
    told = f"yes: {hits} of {len(suite.items)} items found, in {documents} documents left out"
    start = str(details.get("start", {}).get("source", ""))
    if start.endswith(", from scratch"):
        return told
    return f"{told}; what {start} was trained on before is not recorded"
